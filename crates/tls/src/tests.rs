//! Two ends, certificates made for each test.

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, IsCa, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    SignatureAlgorithm,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn certified() -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    (cert.pem(), signing_key.serialize_pem())
}

fn run<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(what)
}

#[test]
fn who_trusts_a_certificate_connects() {
    let (certificate, key) = certified();
    let acceptor = Acceptor::new(certificate.as_bytes(), key.as_bytes(), "test").expect("an acceptor");
    let connect = |trusted: String, host: &'static str, protocol| {
        let acceptor = acceptor.clone();
        run(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let server = tokio::spawn(async move {
                let mut stream = acceptor.accept(listener.accept().await?.0).await?;
                stream.write_all(b"hello").await?;
                stream.shutdown().await
            });
            let connector = Connector::new(Some(trusted.as_bytes()), protocol).expect("a connector");
            let mut stream = connector.connect(host, TcpStream::connect(address).await?).await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            server.await.expect("no panic")?;
            Ok::<_, io::Error>(text)
        })
    };
    assert_eq!(connect(certificate.clone(), "localhost", "test").expect("connected"), "hello");
    let advised =
        |connected: io::Result<String>| advice(&connected.expect_err("it is not trusted")).unwrap_or_default();
    let another = advised(connect(certificate.clone(), "example.org", "test"));
    assert!(another.contains("by a name"), "another name: {another}");
    let another = advised(connect(certified().0, "localhost", "test"));
    assert!(!another.is_empty() && !another.contains("by a name"), "another certificate of the same name: {another}");
    assert_eq!(advised(connect(certificate, "localhost", "other")), "", "another protocol");
}

#[test]
fn who_trusts_an_authority_alone_is_told_that_it_is_one() {
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = parameters.self_signed(&key).expect("signed").pem();
    let acceptor = Acceptor::new(certificate.as_bytes(), key.serialize_pem().as_bytes(), "test").expect("an acceptor");
    let connected = run(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { acceptor.accept(listener.accept().await?.0).await });
        let connector = Connector::new(Some(certificate.as_bytes()), "test").expect("a connector");
        connector.connect("localhost", TcpStream::connect(address).await?).await.map(drop)
    });
    let advised = advice(&connected.expect_err("it is not trusted")).unwrap_or_default();
    assert!(advised.contains("that of an authority"), "{advised}");
}

#[test]
fn certificates_and_keys_that_are_none() {
    let ((certificate, key), (_, other)) = (certified(), certified());
    let made = |certificate: &str, key: &str| Acceptor::new(certificate.as_bytes(), key.as_bytes(), "test").err();
    assert!(made(&certificate, &key).is_none());
    assert!(matches!(made("", &key), Some(TlsError::NoCertificate)));
    assert!(matches!(made(&key, &key), Some(TlsError::NoCertificate)));
    assert!(matches!(made(&certificate, &certificate), Some(TlsError::NoKey)));
    assert!(matches!(made(&certificate, &other), Some(TlsError::Unfit(_))));
}

/// How long the hash is says which function it is of; psql, which computes it too, is asked in the server's tests.
#[test]
fn what_binds_to_a_certificate() {
    let bound = |algorithm: &'static SignatureAlgorithm| {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("parameters");
        let certificate = parameters.self_signed(&key).expect("signed");
        binding::end_point(certificate.der()).map(|hash| hash.len())
    };
    assert_eq!(bound(&rcgen::PKCS_ECDSA_P256_SHA256), Some(32));
    assert_eq!(bound(&PKCS_ECDSA_P384_SHA384), Some(48));
    assert_eq!(bound(&PKCS_ED25519), None);
    for spoilt in [&b""[..], b"\x30", b"\x30\x85\0\0\0\0\x01", b"\x30\x84\xff\xff\xff\xff", b"\x30\x02\x30\x00"] {
        assert_eq!(binding::end_point(spoilt), None);
    }
}
