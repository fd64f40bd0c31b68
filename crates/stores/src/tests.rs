use crate::{Located, Stores, is_object_store};
use std::path::Path;

fn directory(location: &str) -> Option<std::path::PathBuf> {
    match Stores::new([]).open(location).expect("a place") {
        Located::Directory(path) => Some(path),
        Located::Objects(_) => None,
    }
}

#[test]
fn paths_and_urls_of_files_are_directories() {
    assert_eq!(directory("/a/b").as_deref(), Some(Path::new("/a/b")));
    assert_eq!(directory("file:///a/b%20c").as_deref(), Some(Path::new("/a/b c")));
    assert!(directory("relative").expect("a directory").is_absolute());
    assert!(!is_object_store("/a/b").expect("a place") && !is_object_store("file:///a").expect("a place"));
}

#[test]
fn urls_of_stores_open_with_what_the_environment_has() {
    let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "eu-central-1")];
    let stores = Stores::new(keys.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let Ok(Located::Objects(objects)) = stores.open("s3://bucket/some/path") else { panic!("no store") };
    assert_eq!(objects.root.as_ref(), "some/path");
    assert!(is_object_store("s3://bucket/some/path").expect("a place"));
    assert!(!format!("{stores:?}").contains("eu-central-1"), "the environment holds secrets");
}

#[test]
fn what_is_no_place_is_told() {
    for location in ["", "nowhere://x", "s3:///"] {
        assert!(Stores::new([]).open(location).is_err(), "'{location}' is a place");
        assert!(is_object_store(location).is_err(), "'{location}' is a place");
    }
}

#[test]
fn memory_is_the_same_to_all_clones() {
    let stores = Stores::new([]);
    let open = |stores: &Stores| match stores.open("memory:///x") {
        Ok(Located::Objects(objects)) => objects.store,
        _ => panic!("no store"),
    };
    assert!(std::sync::Arc::ptr_eq(&open(&stores), &open(&stores.clone())));
}
