//! The exchange against the one in RFC 7677; users, and what is kept and shown of passwords.

use super::*;
use crate::verifier::ITERATIONS;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The example of RFC 7677, section 3: user "user", password "pencil".
const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const OWN: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CHALLENGE: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const LAST: &str =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const ANSWER: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn pencil() -> Checked {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
    Checked { verifier: Verifier::derived("pencil", salt, ITERATIONS), is_real: true }
}

fn begun(checked: Checked, message: &str) -> Result<(Exchange, String), ExchangeError> {
    Exchange::begin_with(MECHANISM, &Binding::None, checked, message.as_bytes(), OWN)
}

fn secret(text: &str) -> Secret {
    Secret(text.to_owned())
}

#[test]
fn the_example_of_the_rfc() {
    let (exchange, challenge) = begun(pencil(), FIRST).expect("begun");
    assert_eq!(challenge, CHALLENGE);
    assert_eq!(exchange.finish(LAST.as_bytes()), Ok(Some(ANSWER.to_owned())));
}

#[test]
fn a_proof_of_another_password_or_exchange_is_none() {
    let (exchange, _) = begun(pencil(), FIRST).expect("begun");
    let wrong = LAST.replace("p=dHzb", "p=dHzc");
    assert_eq!(exchange.finish(wrong.as_bytes()), Ok(None));
    // The right proof, of a user that there is not.
    let (exchange, _) = begun(Checked { is_real: false, ..pencil() }, FIRST).expect("begun");
    assert_eq!(exchange.finish(LAST.as_bytes()), Ok(None));
    for spoilt in [
        LAST.replace("rOpr", "sOpr"),
        LAST.replace("c=biws", "c=eSws"),
        LAST.replace(",p=", ",q="),
        LAST.replace("p=dHzb", "p="),
        String::new(),
    ] {
        let (exchange, _) = begun(pencil(), FIRST).expect("begun");
        assert!(exchange.finish(spoilt.as_bytes()).is_err(), "{spoilt}");
    }
}

#[test]
fn first_messages_that_are_none() {
    for message in [
        "",
        "n,,",
        "n,,r=abc",
        "n,,n=user",
        "n,,n=user,r=",
        "n,a=root,n=user,r=abc",
        "x,,n=user,r=abc",
        "n,,m=1,n=u,r=a",
    ] {
        assert!(begun(pencil(), message).is_err(), "{message}");
    }
    assert!(Exchange::begin("PLAIN", &Binding::None, pencil(), FIRST.as_bytes()).is_err());
    assert!(Exchange::begin(MECHANISM, &Binding::None, pencil(), b"n,,n=\xff,r=a").is_err());
}

/// Who says that it would bind, but was not told that it can, has somebody in between.
#[test]
fn bindings_are_those_that_are_offered() {
    let certificate = Binding::ServerEndPoint(b"hash".to_vec());
    let begin = |mechanism, binding: &Binding, flag: &str| {
        let message = FIRST.replacen('n', flag, 1);
        Exchange::begin(mechanism, binding, pencil(), message.as_bytes()).map(|(exchange, _)| exchange)
    };
    assert!(begin(MECHANISM, &Binding::None, "y").is_ok());
    assert!(begin(MECHANISM, &certificate, "y").is_err());
    assert!(begin(MECHANISM, &certificate, "n").is_ok());
    assert!(begin(MECHANISM_PLUS, &Binding::None, "p=tls-server-end-point").is_err());
    assert!(begin(MECHANISM_PLUS, &certificate, "p=tls-unique").is_err());
    assert!(begin(MECHANISM_PLUS, &certificate, "n").is_err());
    let bound = begin(MECHANISM_PLUS, &certificate, "p=tls-server-end-point").expect("begun").bound;
    assert_eq!(bound, b"p=tls-server-end-point,,hash");
}

#[test]
fn verifiers_are_those_of_postgresql() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
    let text = String::from(Verifier::derived("pencil", salt, ITERATIONS));
    // Computed with Python's hashlib and hmac.
    assert_eq!(
        text,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    );
    let read = Verifier::of(&Secret(text.clone())).expect("a verifier");
    assert!(read.matches(&secret("pencil")) && !read.matches(&secret("Pencil")));
    for spoilt in [
        text.replace("4096", "4095"),
        text.replace("4096", "9999999"),
        text.replace("$WG5d", "$"),
        text.replace(':', ""),
    ] {
        assert_eq!(Verifier::of(&Secret(spoilt)), Err(VerifierError::Malformed));
    }
    assert_eq!(Verifier::of(&secret("")), Err(VerifierError::Empty));
    assert_eq!(Verifier::of(&secret("md500112233445566778899aabbccddeeff")), Err(VerifierError::Md5));
}

/// A soft hyphen is nothing, as RFC 4013 has it; what that does not take counts as it is.
#[test]
fn passwords_are_prepared() {
    let verifier = Verifier::of(&secret("pa\u{ad}ss")).expect("a verifier");
    assert!(verifier.matches(&secret("pass")));
    let verifier = Verifier::of(&secret("a\u{7}b")).expect("a verifier");
    assert!(verifier.matches(&secret("a\u{7}b")) && !verifier.matches(&secret("ab")));
}

#[test]
fn users_come_and_go() {
    let mut users = Users::default();
    assert!(users.is_without_password(ROOT) && !users.have_passwords());
    users.create("anna").expect("new").verifier = Some(Verifier::of(&secret("pencil")).expect("a verifier"));
    assert_eq!(users.create("anna").err(), Some(UserError::Exists("anna".into())));
    assert!(users.have_passwords() && !users.is_without_password("anna"));
    assert!(users.is_password("anna", &secret("pencil")) && !users.is_password("anna", &secret("pen")));
    assert!(!users.is_password("bert", &secret("pencil")) && !users.is_password(ROOT, &secret("")));
    let kept = serde_json::to_string(&users).expect("JSON");
    assert_eq!(serde_json::from_str::<Users>(&kept).expect("users"), users);
    let first = users.user("anna").map(|user| user.id);
    assert_eq!(users.remove("anna"), Ok(()));
    assert_eq!(users.remove("anna"), Err(UserError::Missing("anna".into())));
    assert_eq!(users.remove(ROOT), Err(UserError::Root));
    users.create("anna").expect("new again");
    assert_ne!(users.user("anna").map(|user| user.id), first, "she is somebody else");
}

/// Who asks twice learns nothing of who there is.
#[test]
fn users_that_there_are_not_are_asked_the_same() {
    let users = Users::default();
    let [once, again, other] = ["bert", "bert", "carl"].map(|name| begun(users.checked(name), FIRST).expect("begun").1);
    assert_eq!(once, again);
    assert_ne!(once, other);
    assert_eq!(once.len(), begun(pencil(), FIRST).expect("begun").1.len());
}

#[test]
fn nothing_of_a_password_is_shown() {
    let mut users = Users::default();
    users.create("anna").expect("new").verifier = Some(pencil().verifier);
    let shown = format!("{users:?} {:?} {:?}", secret("pencil"), pencil());
    assert!(shown.contains("anna"));
    for hidden in ["pencil", "W22Z", "WG5d", "91, 109"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
}

/// Who comes from where; `::ffff:127.0.0.1` is how this machine looks to a port that listens to both kinds of addresses.
#[test]
fn who_comes_in_unasked() {
    let at = |text: &str| text.parse::<std::net::IpAddr>().expect("an address");
    let (usual, asks) = (Entrance::default(), Entrance { asks_everyone: true, ..Entrance::default() });
    let insecure = Entrance { is_insecure: true, ..Entrance::default() };
    for here in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        assert!(usual.trusts(at(here)) && usual.takes_plain(at(here)) && insecure.trusts(at(here)), "{here}");
        assert!(!asks.trusts(at(here)) && asks.takes_plain(at(here)), "{here}");
    }
    for elsewhere in ["10.0.0.1", "192.168.1.1", "0.0.0.0", "::", "fe80::1", "::ffff:10.0.0.1", "128.0.0.1"] {
        assert!(!usual.trusts(at(elsewhere)) && !usual.takes_plain(at(elsewhere)), "{elsewhere}");
        assert!(insecure.trusts(at(elsewhere)) && insecure.takes_plain(at(elsewhere)), "{elsewhere}");
    }
}

#[test]
fn where_a_server_may_listen() {
    let (here, everywhere) = ([127, 0, 0, 1].into(), [0, 0, 0, 0].into());
    let (nobody, mut somebody) = (Users::default(), Users::default());
    somebody.alter(ROOT).expect("root").verifier = Some(pencil().verifier);
    let usual = Entrance::default();
    assert_eq!(usual.check(here, false, &nobody), Ok(()));
    assert_eq!(usual.check(everywhere, false, &somebody), Err(EntranceError::Plain));
    assert_eq!(usual.check(everywhere, true, &nobody), Err(EntranceError::NoPasswords));
    assert_eq!(usual.check(everywhere, true, &somebody), Ok(()));
    assert_eq!(Entrance { is_insecure: true, ..usual }.check(everywhere, false, &nobody), Ok(()));
    let asks = Entrance { asks_everyone: true, ..usual };
    assert_eq!(asks.check(here, false, &nobody), Err(EntranceError::Nobody));
    assert_eq!(asks.check(here, false, &somebody), Ok(()));
}
