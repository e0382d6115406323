//! JUnit XML for CI. Has no times in it, so that the same runs give the same bytes.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::report::{Run, Verdict};
use crate::state::State;

/// Writes runs as one JUnit report: a test suite for each state of the breakers.
///
/// # Errors
/// When the XML cannot be written.
pub fn junit(agent: &str, runs: &[Run]) -> Result<String, String> {
    let mut report = Report::new(agent);
    for state in State::ALL {
        let mut suite = TestSuite::new(format!("{agent} [{}]", state.as_str()));
        suite.add_test_cases(runs.iter().filter(|run| run.state == state).map(case));
        if !suite.test_cases.is_empty() {
            report.add_test_suite(suite);
        }
    }
    report.to_string().map_err(|error| error.to_string())
}

fn case(run: &Run) -> TestCase {
    let status = match run.verdict {
        Verdict::Passed | Verdict::Degraded => TestCaseStatus::success(),
        Verdict::Failed => {
            let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let places: Vec<&str> = run.mismatches.iter().map(|m| m.at.as_str()).collect();
            failure.set_message(format!("not as expected: {}", places.join(", ")));
            failure.set_description(run.to_string());
            failure
        }
    };
    let mut case = TestCase::new(run.scenario.clone(), status);
    if run.verdict == Verdict::Degraded {
        case.set_system_out("the agent answered a clean error");
    }
    case
}
