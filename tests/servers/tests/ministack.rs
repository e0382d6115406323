//! Whether ministack comes up by itself.

use stuga_test_servers::{Ministack, get};

#[test]
fn ministack_is_installed_started_and_can_be_asked() {
    let ministack = Ministack::start().unwrap();
    let (status, health) = get(ministack.address(), "/_ministack/health").unwrap();
    assert_eq!(status, 200);
    assert!(health.contains("secretsmanager"), "{health}");
}
