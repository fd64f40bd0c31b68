//! Jobs, health and metrics over HTTP, for tools, scripts and browsers of the same machine.
//!
//! ```text
//! socket ──> guard (from which pages, what answers may do) ──> identity (who asks) ──> routes ──> Instance, on a thread that may wait
//! ```
//! | module | holds |
//! |---|---|
//! | `server` | the port, connections, limits |
//! | `guard` | hosts and origins that are let in, headers of every answer |
//! | `identity` | users and their passwords |
//! | `routes` | what can be asked, by subject; the OpenAPI document is made of it |
//! | `api` | the JSON of requests and answers |
//! | `metrics` | what Prometheus reads |
//! | `spans` | what traces tell of requests |
//! | `failure` | errors as answers |
//! | `client` | the other end, for the command line |
//!
//! Not here: what jobs are; SQL; files, arguments, the environment. Start at [`bind`].

pub mod api;
mod client;
mod failure;
mod guard;
mod identity;
mod metrics;
mod routes;
mod server;
mod spans;

pub use client::{Client, ClientError};
pub use metrics::Connections;
pub use routes::document;
pub use server::{Bound, HttpConfig, bind};
