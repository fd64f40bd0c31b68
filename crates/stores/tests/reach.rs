//! What is in reach stays in reach, whatever paths, links and URLs say.

use eddyline_stores::{Files, OutOfReach, Reach, ReachSettings};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A directory that is in reach, beside one that is not.
struct Place {
    home: tempfile::TempDir,
    reach: Reach,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        for directory in ["in/below", "out"] {
            fs::create_dir_all(home.path().join(directory)).expect("made");
        }
        for file in ["in/a.csv", "in/below/b.csv", "in/below/.hidden", "out/secret.csv"] {
            fs::write(home.path().join(file), file).expect("written");
        }
        let settings = ReachSettings { directories: vec![home.path().join("in")], ..ReachSettings::default() };
        let reach = Reach::limited(&settings).expect("a reach");
        Self { home, reach }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn files(&self) -> Files {
        self.reach.files()
    }

    fn link(&self, from: &str, to: impl AsRef<Path>) {
        symlink(to, self.path(from)).expect("linked");
    }
}

/// Is it an error that says what is out of reach?
fn is_denied<T>(result: io::Result<T>) -> bool {
    let Err(error) = result else { return false };
    error.get_ref().is_some_and(|why| why.is::<OutOfReach>())
}

fn read(result: io::Result<fs::File>) -> String {
    io::read_to_string(result.expect("opened")).expect("read")
}

#[test]
fn files_below_are_in_reach() {
    let place = Place::new();
    let files = place.files();
    assert_eq!(read(files.open(place.path("in/a.csv"))), "in/a.csv");
    assert_eq!(read(files.open(place.path("in/./below//b.csv"))), "in/below/b.csv");
    assert!(files.look(place.path("in")).expect("there").is_directory);
    assert_eq!(files.look(place.path("in/a.csv")).expect("there").size_bytes, 8);
    let mut names: Vec<_> = files.entries(place.path("in")).expect("a directory").into_iter().map(|e| e.name).collect();
    names.sort();
    assert_eq!(names, ["a.csv", "below"]);
    // Links within are followed.
    place.link("in/link", "below/b.csv");
    assert_eq!(read(files.open(place.path("in/link"))), "in/below/b.csv");
    // What is written.
    files.create_directories(place.path("in/x/y")).expect("made");
    files.create_directory(place.path("in/x/z")).expect("made");
    io::Write::write_all(&mut files.create_new(place.path("in/x/y/new")).expect("made"), b"new").expect("written");
    files.rename(place.path("in/x/y/new"), place.path("in/x/z/old")).expect("renamed");
    assert_eq!(read(files.open(place.path("in/x/z/old"))), "new");
    files.remove(place.path("in/x/z/old")).expect("removed");
    assert_eq!(files.look(place.path("in/x/z/old")).expect_err("gone").kind(), io::ErrorKind::NotFound);
}

#[test]
fn nothing_else_is() {
    let place = Place::new();
    let files = place.files();
    place.link("in/out", place.path("out"));
    place.link("in/up", "../out");
    place.link("in/secret.csv", place.path("out/secret.csv"));
    place.link("in/root", "/");
    place.link("in/self", "/proc/self/root");
    place.link("in/below/up", "..");
    for path in [
        "out/secret.csv",
        "in/../out/secret.csv",
        "in/below/../a.csv",
        "in/out/secret.csv",
        "in/up/secret.csv",
        "in/secret.csv",
        "in/root/etc/passwd",
        "in/self/etc/passwd",
        "in/below/up/up/secret.csv",
        "in2",
        "inner/x",
        "",
    ] {
        let path = place.path(path);
        assert!(is_denied(files.open(&path)), "{}", path.display());
        assert!(is_denied(files.look(&path)), "{}", path.display());
        assert!(is_denied(files.create_new(path.join("new"))), "{}", path.display());
        assert!(is_denied(files.create_directories(path.join("new"))), "{}", path.display());
        assert!(is_denied(files.entries(&path)), "{}", path.display());
        assert!(is_denied(files.remove(path.join("secret.csv"))), "{}", path.display());
        assert!(is_denied(files.rename(place.path("in/a.csv"), path.join("new"))), "{}", path.display());
        assert!(is_denied(files.rename(path.join("secret.csv"), place.path("in/new"))), "{}", path.display());
    }
    for link in ["in/out", "in/root", "in/self"] {
        assert!(is_denied(files.create_directories(place.path(link))), "{link}");
    }
    for path in ["/etc/passwd", "/proc/self/environ", "/proc/self/fd/0", "/dev/zero", "relative", "~/x", "/"] {
        assert!(is_denied(files.open(path)) && place.reach.check_path(path).is_err(), "{path}");
    }
    assert_eq!(fs::read_dir(place.path("out")).expect("a directory").count(), 1);
    assert_eq!(fs::read_to_string(place.path("out/secret.csv")).expect("there"), "out/secret.csv");
}

/// A link that takes the place of a directory between the look and the opening leads nowhere: it is the opening that counts.
#[test]
fn links_that_are_made_meanwhile_lead_nowhere() {
    let place = Place::new();
    let files = place.files();
    let path = place.path("in/below/b.csv");
    place.reach.check_path(&path.display().to_string()).expect("in reach");
    assert!(files.look(&path).is_ok());
    fs::rename(place.path("in/below"), place.path("in/before")).expect("renamed");
    fs::write(place.path("out/b.csv"), "secret").expect("written");
    place.link("in/below", place.path("out"));
    assert!(is_denied(files.open(&path)));
    // What is in reach is the directory that was given, also when its name means another one by now.
    fs::rename(place.path("in"), place.path("moved")).expect("renamed");
    place.link("in", place.path("out"));
    assert_eq!(read(files.open(place.path("in/a.csv"))), "in/a.csv");
    assert!(files.open(place.path("in/secret.csv")).is_err());
}

#[test]
fn globs_find_what_is_in_reach() {
    let place = Place::new();
    place.link("in/out", place.path("out"));
    let found = |reach: &Reach, pattern: &str| {
        let mut found = reach.files().glob(&place.path(pattern).display().to_string()).expect("found");
        found.sort();
        found
    };
    let [a, b] = ["in/a.csv", "in/below/b.csv"].map(|path| place.path(path));
    for (pattern, expected) in [
        ("in/*.csv", vec![a.clone()]),
        ("in/*/*.csv", vec![b.clone()]),
        ("in/**/*.csv", vec![a.clone(), b.clone()]),
        ("in/[ab].csv", vec![a.clone()]),
        ("in/b*", vec![place.path("in/below")]),
        ("in/*.txt", vec![]),
    ] {
        assert_eq!(found(&place.reach, pattern), expected, "{pattern}");
    }
    // As glob itself finds it, where there are no links that lead out.
    fs::remove_file(place.path("in/out")).expect("removed");
    for pattern in ["in/*.csv", "in/*/*.csv", "in/**/*.csv", "in/?.csv", "in/b*"] {
        assert_eq!(found(&place.reach, pattern), found(&Reach::free(), pattern), "{pattern}");
    }
    for pattern in ["*/secret.csv", "in/../*/secret.csv", "/etc/*", "/**/passwd", "*"] {
        let pattern = place.path(pattern).display().to_string();
        assert!(is_denied(place.files().glob(&pattern)), "{pattern}");
    }
}

#[test]
fn places_of_settings_are_looked_at_where_they_lead() {
    let place = Place::new();
    place.link("in/out", place.path("out"));
    let check = |location: String| place.reach.check_location(&location);
    let at = |path: &str| place.path(path).display().to_string();
    for path in ["in", "in/below", "in/new/newer", "in/"] {
        assert_eq!(check(at(path)), Ok(()), "{path}");
        assert_eq!(check(format!("file://{}", at(path))), Ok(()), "{path}");
    }
    for path in ["out", "in/out", "in/out/new", "in/../out", "in2"] {
        assert!(check(at(path)).is_err(), "{path}");
        assert!(check(format!("file://{}", at(path))).is_err(), "{path}");
    }
    for location in
        ["file:///etc", "s3://bucket/x", "memory:///", "http://127.0.0.1/", "/etc", "etc", "", "file://host/etc"]
    {
        assert!(check(location.to_owned()).is_err(), "{location}");
    }
    // Dots may be written so that paths do not see them, and URLs do.
    for hidden in ["%2e%2e/out", "%2E%2E/out", ".%2e/out", "below/%2e%2e/%2e%2e/out"] {
        assert!(check(format!("file://{}/{hidden}", at("in"))).is_err(), "{hidden}");
    }
    assert_eq!(Reach::free().check_location("/etc"), Ok(()));
}

#[test]
fn urls_are_in_reach_by_what_they_begin_with() {
    let urls = vec!["s3://bucket/data/".to_owned(), "gs://other".to_owned()];
    let reach = Reach::limited(&ReachSettings { urls, ..ReachSettings::default() }).expect("a reach");
    for url in ["s3://bucket/data", "s3://bucket/data/x", "s3://bucket/data/x/../y", "gs://other/x", "gs://other"] {
        assert_eq!(reach.check_url(url), Ok(()), "{url}");
    }
    for url in [
        "s3://bucket",
        "s3://bucket/database",
        "s3://bucket2/data/x",
        "s3://bucket/data/../x",
        "s3://bucket/data/%2e%2e/x",
        "s3://bucket/data/..%2fx",
        "s3://bucket/data\\..\\x",
        "s3://user@bucket/data/x",
        "s3://bucket:80/data/x",
        "s3a://bucket/data/x",
        "gs://other/x?y=z",
        "gs://other/x#y",
        "http://169.254.169.254/latest",
        "file:///etc",
        "no url",
    ] {
        assert!(reach.check_url(url).is_err(), "{url}");
    }
    assert!(Reach::limited(&ReachSettings { urls: vec!["file:///".into()], ..ReachSettings::default() }).is_err());
    let directories = vec![PathBuf::from("/nowhere/at/all")];
    assert!(Reach::limited(&ReachSettings { directories, ..ReachSettings::default() }).is_err());
}

#[test]
fn addresses_are_those_that_are_given() {
    let addresses = vec!["Feed.example:9000".to_owned()];
    let reach = Reach::limited(&ReachSettings { addresses, ..ReachSettings::default() }).expect("a reach");
    assert_eq!(reach.check_address("feed.example", 9000), Ok(()));
    for (host, port) in [("feed.example", 9001), ("127.0.0.1", 9000), ("localhost", 22), ("feed.example:9000", 9000)] {
        assert!(reach.check_address(host, port).is_err(), "{host}:{port}");
    }
    assert_eq!(Reach::free().check_address("localhost", 22), Ok(()));
}
