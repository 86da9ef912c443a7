//! The HTTP endpoint: `/` is the status page, `/metrics` is for Prometheus, `/healthz` is for health checks.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::EXPORTER;
use crate::status_page::Site;

/// The state behind `/healthz`.
#[derive(Clone)]
pub(crate) struct Health {
    within: Duration,
    last_success: Arc<Mutex<Option<Instant>>>,
}

impl Health {
    /// Healthy while the last success is no older than `within`.
    pub(crate) fn new(within: Duration) -> Self {
        Self {
            within,
            last_success: Arc::default(),
        }
    }

    pub(crate) fn succeeded(&self) {
        *self.last_success.lock().expect("no holder of this lock panics") = Some(Instant::now());
    }

    fn answer(&self) -> (StatusCode, String) {
        let last = *self.last_success.lock().expect("no holder of this lock panics");
        match last.map(|last| last.elapsed()) {
            None => (StatusCode::SERVICE_UNAVAILABLE, "no run has succeeded yet\n".to_owned()),
            Some(age) => {
                let is_healthy = age <= self.within;
                let status = if is_healthy {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                (status, format!("the last success was {} s ago\n", age.as_secs()))
            }
        }
    }
}

/// Listens on `address` and serves requests in the background.
pub(crate) async fn start(address: SocketAddr, health: Health, site: Site) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    let site = Arc::new(site);
    let routes = Router::new()
        .route("/", get(move || async move { site.answer().await }))
        .route("/metrics", get(metrics))
        .route("/healthz", get(move || async move { health.answer() }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(())
}

async fn metrics() -> impl IntoResponse {
    let text = EXPORTER.get().map(super::Exporter::render).unwrap_or_default();
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}
