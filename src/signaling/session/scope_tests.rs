//! What a token lets a page call, in whatever form it is dialled, and what it is told of help.

use serde_json::{Value, json};

use super::tests::{Bench, error_code, start};
use super::*;
use crate::base::UserId;

/// Reads national numbers; 112 is help.
#[derive(Debug)]
pub(super) struct Germany;

impl Dialling for Germany {
    fn meant(&self, user: &UserId, dialled: &str) -> String {
        let digits = AsDialled.meant(user, dialled);
        digits.strip_prefix('0').map_or(digits.clone(), |rest| format!("+49{rest}"))
    }

    fn is_emergency(&self, _user: &UserId, dialled: &str) -> bool {
        dialled == "112"
    }
}

#[test]
fn start_to_a_number_in_another_form_to_request() {
    let mut scoped = Bench::open_with(|claims| claims.destinations = vec!["+49301234567".into()]);
    assert!(matches!(scoped.page(start(2, 1, "030 1234567"))[0], Output::Request(..)));
    assert_eq!(error_code(&scoped.page(start(3, 2, "030 1234568"))), "auth/forbidden");
}

#[test]
fn start_of_an_emergency_call_as_the_features_say() {
    let features = |change: fn(&mut Claims)| {
        let mut bench = Bench::new();
        let token = bench.token(change);
        let out = bench.page(json!({"id": 1, "type": "hello", "token": token}));
        let welcome = out.iter().find_map(|output| match output {
            Output::Send(text) => Some(serde_json::from_str::<Value>(text).unwrap()),
            _ => None,
        });
        (bench, welcome.unwrap().to_string().contains("\"emergency\""))
    };
    let (mut free, told) = features(|_| ());
    assert!(told && matches!(free.page(start(2, 1, "112"))[0], Output::Request(..)));
    let scoped: fn(&mut Claims) = |claims| claims.destinations = vec!["600".into()];
    let receives: fn(&mut Claims) = |claims| claims.scopes = vec![Scope::CallIn];
    for change in [scoped, receives] {
        let (mut bench, told) = features(change);
        let out = bench.page(start(2, 1, "112"));
        assert!(!told);
        assert_eq!(error_code(&out), "auth/forbidden");
        assert!(format!("{out:?}").contains("Use another telephone"), "{out:?}");
    }
    let (mut named, _) = features(|claims| claims.destinations = vec!["112".into()]);
    assert!(matches!(named.page(start(2, 1, "112"))[0], Output::Request(..)));
}
