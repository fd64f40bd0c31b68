use super::*;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

fn handler() -> Handler {
    Arc::new(|request| match request {
        Request::About => Answer::Job { name: "j".into(), pid: 7 },
        Request::Savepoint { place: Target::Path(location) } => {
            Answer::Savepoint(SavepointFacts { location, epoch: 1, size_bytes: 2 })
        }
        _ => Answer::Failed { message: "no".into(), hint: None },
    })
}

#[test]
fn a_request_is_answered_and_a_second_process_has_no_part_in_the_name() {
    let place = tempfile::tempdir().expect("directory");
    let listener = Listener::bind(place.path(), "j", handler()).expect("a socket").expect("the name");
    assert!(Listener::bind(place.path(), "j", handler()).expect("no fault").is_none());
    let request = Request::Savepoint { place: Target::Path("/x".into()) };
    let made = SavepointFacts { location: "/x".into(), epoch: 1, size_bytes: 2 };
    assert_eq!(ask(place.path(), "j", &request).expect("an answer"), Answer::Savepoint(made));
    let error = ask(place.path(), "k", &Request::About).expect_err("no such job");
    assert_eq!(error.to_string(), "no job 'k' runs here; these do: j");
    drop(listener);
    assert!(matches!(ask(place.path(), "j", &Request::About), Err(ControlError::NoJob { .. })));
    assert!(Listener::bind(place.path(), "j", handler()).expect("a socket").is_some());
}

#[test]
fn what_a_killed_process_left_is_taken_away() {
    let place = tempfile::tempdir().expect("directory");
    let socket = place.path().join("j.sock");
    drop(UnixListener::bind(&socket).expect("a socket"));
    assert!(socket.exists());
    assert!(matches!(ask(place.path(), "j", &Request::About), Err(ControlError::NoJob { .. })));
    assert!(!socket.exists());
    drop(UnixListener::bind(&socket).expect("a socket"));
    assert!(Listener::bind(place.path(), "j", handler()).expect("a socket").is_some());
}

#[test]
fn names_of_any_length_and_letters_have_sockets() {
    let place = tempfile::tempdir().expect("directory");
    for name in ["a b/c", "..", &"long ".repeat(60)] {
        let _listener = Listener::bind(place.path(), name, handler()).expect("a socket").expect("the name");
        assert_eq!(running(place.path()), ["j"]);
    }
}

#[test]
fn a_directory_that_others_can_enter_is_refused() {
    let place = tempfile::tempdir().expect("directory");
    let open = place.path().join("open");
    std::fs::create_dir(&open).expect("made");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).expect("set");
    let found =
        |set: std::path::PathBuf| directory(move |name| (name == "EDDYLINE_RUNTIME_DIR").then(|| set.clone().into()));
    assert!(found(open).expect_err("refused").to_string().contains("others can enter it"));
    let own = place.path().join("own");
    assert_eq!(found(own.clone()).expect("made"), own);
    let within = directory(|name| (name == "XDG_RUNTIME_DIR").then(|| place.path().into())).expect("made");
    assert_eq!(within, place.path().join("eddyline"));
}

#[test]
fn lines_are_as_documented() {
    let text = |request: &Request| serde_json::to_string(request).expect("text");
    let place = Target::Path("/backups/one".into());
    assert_eq!(text(&Request::Savepoint { place }), r#"{"verb":"savepoint","place":{"path":"/backups/one"}}"#);
    let stop = Request::Stop { savepoint: Some(Target::Default), drain: true };
    assert_eq!(text(&stop), r#"{"verb":"stop","savepoint":"default","drain":true}"#);
    let facts = SavepointFacts { location: "/backups/one".into(), epoch: 12, size_bytes: 3210 };
    assert_eq!(
        serde_json::to_string(&Answer::Savepoint(facts)).expect("text"),
        r#"{"savepoint":{"location":"/backups/one","epoch":12,"size_bytes":3210}}"#
    );
}
