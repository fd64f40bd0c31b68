//! The variables of OpenTelemetry that say whether and where spans are sent.
//!
//! Most of them are read by its SDK, which passes over what it does not understand. So they are looked at here first: what would not be
//! done is refused.

use std::collections::BTreeMap;
use std::time::Duration;

const ENDPOINT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const CERTIFICATE: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
/// Unless a variable says otherwise, as its specification has it.
const TIMEOUT_USUAL: Duration = Duration::from_secs(10);
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// Why spans cannot be sent as the environment says.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// A variable has a value that means nothing, or something that is not there.
    #[error("{variable}={value}: {hint}")]
    Variable {
        /// Its name.
        variable: String,
        /// Its value.
        value: String,
        /// What it may be.
        hint: String,
    },
    /// What sends them could not be begun.
    #[error("traces cannot be sent: {0}")]
    Start(String),
}

/// Where spans are sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// As it was written, for messages.
    pub(crate) endpoint: String,
    /// Of a request.
    pub(crate) timeout: Duration,
    /// The file of whom to trust, as PEM; `None`: the authorities of the system.
    pub(crate) certificate: Option<String>,
}

/// Variables by their names, those without a value left out, as their specification has it.
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    pub(crate) fn of_process() -> Self {
        Self::new(std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?))))
    }

    fn new(all: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(all.into_iter().filter(|(name, value)| name.starts_with("OTEL_") && !value.trim().is_empty()).collect())
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim())
    }

    /// The first of these that is set.
    fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names.iter().find_map(|name| Some((*name, self.value(name)?)))
    }

    /// Does the user say what the process is called?
    pub(crate) fn names_service(&self) -> bool {
        let among = |attributes: &str| attributes.split(',').any(|one| one.trim_start().starts_with("service.name="));
        self.value("OTEL_SERVICE_NAME").is_some() || self.value("OTEL_RESOURCE_ATTRIBUTES").is_some_and(among)
    }
}

impl Destination {
    /// `None`: there is none, or nothing is to be sent.
    pub(crate) fn read(variables: &Variables) -> Result<Option<Self>, TracesError> {
        let Some((endpoint_variable, endpoint)) = variables.first(&ENDPOINT) else { return Ok(None) };
        if variables.value("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        match variables.value("OTEL_TRACES_EXPORTER") {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(other) => return Err(wrong("OTEL_TRACES_EXPORTER", other, "otlp and none are there")),
        }
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            return Err(wrong(endpoint_variable, endpoint, "an endpoint is a URL, as in http://127.0.0.1:4318"));
        }
        if let Some((variable, protocol)) = variables.first(&PROTOCOL)
            && protocol != "http/protobuf"
        {
            let hint = "http/protobuf alone is spoken; collectors take it at port 4318";
            return Err(wrong(variable, protocol, hint));
        }
        let client = ["CLIENT_KEY", "CLIENT_CERTIFICATE"]
            .map(|what| [format!("OTEL_EXPORTER_OTLP_TRACES_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")]);
        if let Some(variable) = client.iter().flatten().find(|name| variables.value(name).is_some()) {
            let hint = "certificates of clients are not supported; OTEL_EXPORTER_OTLP_HEADERS can say who sends";
            return Err(wrong(variable, variables.value(variable).unwrap_or_default(), hint));
        }
        check_sampler(variables)?;
        let timeout = match variables.first(&TIMEOUT) {
            None => TIMEOUT_USUAL,
            Some((variable, value)) => {
                let hint = "it is a number of milliseconds";
                value.parse().map(Duration::from_millis).map_err(|_| wrong(variable, value, hint))?
            }
        };
        let certificate = variables.first(&CERTIFICATE).map(|(_, file)| file.to_owned());
        Ok(Some(Self { endpoint: endpoint.to_owned(), timeout, certificate }))
    }
}

fn check_sampler(variables: &Variables) -> Result<(), TracesError> {
    let variable = "OTEL_TRACES_SAMPLER";
    let Some(sampler) = variables.value(variable) else { return Ok(()) };
    if !SAMPLERS.contains(&sampler) {
        return Err(wrong(variable, sampler, &format!("there are {}", SAMPLERS.join(", "))));
    }
    let (variable, hint) = ("OTEL_TRACES_SAMPLER_ARG", "the share of traces that is sent, between 0 and 1");
    match variables.value(variable) {
        Some(share) if sampler.ends_with("ratio") => match share.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(()),
            _ => Err(wrong(variable, share, hint)),
        },
        None if sampler.ends_with("ratio") => Err(wrong(variable, "", hint)),
        _ => Ok(()),
    }
}

fn wrong(variable: &str, value: &str, hint: &str) -> TracesError {
    TracesError::Variable { variable: variable.to_owned(), value: value.to_owned(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(all: &[(&str, &str)]) -> Result<Option<Destination>, String> {
        let variables = Variables::new(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Destination::read(&variables).map_err(|e| e.to_string())
    }

    const AT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn nothing_is_sent_where_nobody_says_where_to() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " "), ("OTEL_SERVICE_NAME", "x")]), Ok(None));
        assert_eq!(read(&[AT, ("OTEL_SDK_DISABLED", "true")]), Ok(None));
        assert_eq!(read(&[AT, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
    }

    #[test]
    fn the_endpoint_of_traces_goes_before_that_of_everything() {
        let endpoint = |all: &[(&str, &str)]| read(all).unwrap().unwrap().endpoint;
        assert_eq!(endpoint(&[AT]), "http://127.0.0.1:4318");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example/v1/traces");
        assert_eq!(endpoint(&[AT, own]), "https://traces.example/v1/traces");
    }

    #[test]
    fn times_are_milliseconds() {
        let timeout = |all: &[(&str, &str)]| read(all).map(|read| read.unwrap().timeout);
        assert_eq!(timeout(&[AT]), Ok(Duration::from_secs(10)));
        let (all, own) = (("OTEL_EXPORTER_OTLP_TIMEOUT", "700"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "20"));
        assert_eq!(timeout(&[AT, all]), Ok(Duration::from_millis(700)));
        assert_eq!(timeout(&[AT, all, own]), Ok(Duration::from_millis(20)));
    }

    #[test]
    fn what_would_not_be_done_is_refused() {
        for (variable, value, hint) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "port 4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "127.0.0.1:4318", "a URL"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("OTEL_TRACES_EXPORTER", "zipkin", "otlp"),
            ("OTEL_TRACES_SAMPLER", "xray", "parentbased_traceidratio"),
        ] {
            let error = read(&[AT, (variable, value)]).unwrap_err();
            assert!(error.starts_with(&format!("{variable}={value}: ")) && error.contains(hint), "{error}");
        }
        let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
        for share in ["", "a tenth", "2", "-1", "NaN"] {
            let error = read(&[AT, ratio, ("OTEL_TRACES_SAMPLER_ARG", share)]).unwrap_err();
            assert!(error.contains("between 0 and 1"), "{error}");
        }
        assert!(read(&[AT, ratio, ("OTEL_TRACES_SAMPLER_ARG", "0.25")]).is_ok());
    }

    #[test]
    fn a_name_of_the_service_that_the_user_gives_is_kept() {
        let named = |name: &str, value: &str| Variables::new([(name.to_owned(), value.to_owned())]).names_service();
        assert!(named("OTEL_SERVICE_NAME", "orders"));
        assert!(named("OTEL_RESOURCE_ATTRIBUTES", "host.name=a, service.name=orders"));
        assert!(!named("OTEL_RESOURCE_ATTRIBUTES", "host.name=a"));
    }
}
