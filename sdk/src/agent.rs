//! What an author writes: a struct, its skills, and what it wants from the host.

use std::marker::PhantomData;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Error, Result};

/// A capability that touches a tenant's data and so needs the tenant's grant.
///
/// Log, clock, random, output and config reach nothing of a tenant's and are open to every agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Capability {
    /// [`crate::memory`].
    Memory,
    /// [`crate::files`].
    Files,
    /// [`crate::sessions`].
    Sessions,
    /// [`crate::records`].
    Records,
    /// [`crate::search`].
    Search,
    /// [`crate::jobs`].
    Jobs,
    /// [`crate::model`].
    Model,
    /// [`crate::a2a`].
    A2a,
    /// [`crate::secrets`].
    Secrets,
}

impl Capability {
    /// The name of the interface, as it stands in a tenant's grants.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Sessions => "sessions",
            Self::Records => "records",
            Self::Search => "search",
            Self::Jobs => "jobs",
            Self::Model => "model",
            Self::A2a => "a2a",
            Self::Secrets => "secrets",
        }
    }
}

/// An agent: a struct with skills. Hand it to the host with [`crate::export!`].
///
/// The host makes a value with `Default` when an instance gets its first call and hands it to every later call of that
/// instance. What a skill keeps in it is a cache and nothing more: the next call may meet another instance, and an
/// instance goes at any time. What must last belongs into [`crate::memory`] or [`crate::files`].
pub trait Agent: Default + 'static {
    /// 1 to 63 characters of `a-z`, `0-9` and inner `-`.
    const NAME: &'static str;
    /// Semantic version; `env!("CARGO_PKG_VERSION")` keeps it equal to the package's.
    const VERSION: &'static str;
    /// What the agent is for, in one sentence.
    const SUMMARY: &'static str;
    /// What the agent wants. A wish: the tenant's grants decide, and a component that imports more is refused.
    const CAPABILITIES: &'static [Capability] = &[];

    /// The skills. Called once for each instance, and once when the agent is described.
    fn skills() -> Skills<Self>;

    /// What it can run as a job, for [`crate::jobs`]. None unless it says so.
    fn jobs() -> Jobs<Self> {
        Jobs::new()
    }
}

/// The skills of an agent, built in [`Agent::skills`].
pub struct Skills<A> {
    pub(crate) entries: Vec<Skill<A>>,
}

type Run<A> = Box<dyn Fn(&mut A, &Context, &str) -> Result<String>>;

pub(crate) struct Skill<A> {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) run: Run<A>,
    pub(crate) schemas: Box<dyn Fn() -> Schemas>,
}

/// JSON Schemas (draft 2020-12) of a skill, as JSON text.
pub(crate) struct Schemas {
    pub(crate) input: String,
    pub(crate) output: String,
}

impl<A: Agent> Skills<A> {
    /// No skills yet.
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Adds a skill: its name (1 to 63 characters of `a-z`, `0-9` and inner `-`), one or two sentences for people and
    /// for other agents, and the method that answers it.
    ///
    /// The method takes `&self` or `&mut self`, the [`Context`] and its input, and returns its output or an [`Error`].
    /// The schemas come from the types; the host refuses an input that does not fit before the method sees it.
    #[must_use]
    pub fn skill<M, H>(mut self, name: &'static str, description: &'static str, handler: H) -> Self
    where
        H: Handler<A, M>,
    {
        self.entries.push(Skill {
            name,
            description,
            run: Box::new(move |agent, ctx, input| {
                let input = serde_json::from_str(input).map_err(|e| {
                    Error::invalid(format!("the input does not fit the skill `{name}`: {e}"))
                })?;
                let output = handler.call(agent, ctx, input)?;
                serde_json::to_string(&output).map_err(|e| {
                    Error::internal(format!("the output of the skill `{name}` is no JSON: {e}"))
                })
            }),
            schemas: Box::new(schemas::<H::Input, H::Output>),
        });
        self
    }

    /// Adds a skill that reads and writes JSON text itself and brings its own schemas as JSON text.
    ///
    /// For agents whose types are known only at run time; prefer [`Skills::skill`].
    #[must_use]
    pub fn raw_skill(
        mut self,
        name: &'static str,
        description: &'static str,
        input_schema: &'static str,
        output_schema: &'static str,
        run: impl Fn(&mut A, &Context, &str) -> Result<String> + 'static,
    ) -> Self {
        self.entries.push(Skill {
            name,
            description,
            run: Box::new(run),
            schemas: Box::new(move || Schemas {
                input: input_schema.to_owned(),
                output: output_schema.to_owned(),
            }),
        });
        self
    }
}

impl<A: Agent> Default for Skills<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// The kinds of jobs of an agent, built in [`Agent::jobs`].
pub struct Jobs<A> {
    pub(crate) entries: Vec<JobKind<A>>,
}

pub(crate) struct JobKind<A> {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) run: Run<A>,
    /// JSON Schema of the input, as JSON text.
    pub(crate) input_schema: Box<dyn Fn() -> String>,
}

impl<A: Agent> Jobs<A> {
    /// No jobs yet.
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Adds a kind of job: its name (1 to 63 characters of `a-z`, `0-9` and inner `-`), one or two sentences for people,
    /// and the method that runs it.
    ///
    /// The method is as that of a skill. Its [`Context`] says by [`crate::Origin::Job`] which job and attempt it runs. The
    /// host refuses an input that does not fit when the job is submitted.
    #[must_use]
    pub fn job<M, H>(mut self, name: &'static str, description: &'static str, handler: H) -> Self
    where
        H: Handler<A, M>,
    {
        self.entries.push(JobKind {
            name,
            description,
            run: Box::new(move |agent, ctx, input| {
                let input = serde_json::from_str(input).map_err(|e| {
                    Error::invalid(format!("the input does not fit the job `{name}`: {e}"))
                })?;
                let output = handler.call(agent, ctx, input)?;
                serde_json::to_string(&output).map_err(|e| {
                    Error::internal(format!("the output of the job `{name}` is no JSON: {e}"))
                })
            }),
            input_schema: Box::new(|| schemas::<H::Input, H::Output>().input),
        });
        self
    }
}

impl<A: Agent> Default for Jobs<A> {
    fn default() -> Self {
        Self::new()
    }
}

fn schemas<I: JsonSchema, O: JsonSchema>() -> Schemas {
    let settings = SchemaSettings::draft2020_12();
    let input = settings.clone().for_deserialize().into_generator();
    let output = settings.for_serialize().into_generator();
    Schemas {
        input: input.into_root_schema_for::<I>().as_value().to_string(),
        output: output.into_root_schema_for::<O>().as_value().to_string(),
    }
}

/// A method that can answer a skill. Implemented for functions of the two shapes that [`Skills::skill`] takes;
/// `M` tells them apart and is always inferred.
pub trait Handler<A, M>: 'static {
    /// What comes in.
    type Input: DeserializeOwned + JsonSchema + 'static;
    /// What goes out.
    type Output: Serialize + JsonSchema + 'static;

    /// Runs the method.
    fn call(&self, agent: &mut A, ctx: &Context, input: Self::Input) -> Result<Self::Output>;
}

/// Marks a method that takes `&self`.
pub struct Shared<I, O>(PhantomData<(I, O)>);

/// Marks a method that takes `&mut self`.
pub struct Exclusive<I, O>(PhantomData<(I, O)>);

impl<A, F, I, O> Handler<A, Shared<I, O>> for F
where
    F: Fn(&A, &Context, I) -> Result<O> + 'static,
    I: DeserializeOwned + JsonSchema + 'static,
    O: Serialize + JsonSchema + 'static,
{
    type Input = I;
    type Output = O;

    fn call(&self, agent: &mut A, ctx: &Context, input: I) -> Result<O> {
        self(agent, ctx, input)
    }
}

impl<A, F, I, O> Handler<A, Exclusive<I, O>> for F
where
    F: Fn(&mut A, &Context, I) -> Result<O> + 'static,
    I: DeserializeOwned + JsonSchema + 'static,
    O: Serialize + JsonSchema + 'static,
{
    type Input = I;
    type Output = O;

    fn call(&self, agent: &mut A, ctx: &Context, input: I) -> Result<O> {
        self(agent, ctx, input)
    }
}
