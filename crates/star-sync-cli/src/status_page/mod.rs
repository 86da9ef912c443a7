//! The status page at `/`, served beside the metrics, for sites without Grafana.
//!
//! It is one HTML document without scripts or external resources, which reloads itself every few seconds. It shows
//! table names, numbers and errors, but no values of rows.

pub(crate) mod live;
mod target;
mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use tokio::sync::Mutex;

use self::live::{Live, SAMPLE_EVERY};
use self::target::TargetView;
use self::view::StatusPage;
use crate::program::Program;

/// The shortest time between two reads of the target, regardless of the number of requests.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Allows inline styles only; scripts, images and frames are blocked.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The data behind the page.
pub(crate) struct Site {
    program: &'static Program,
    target: PathBuf,
    live: Arc<Live>,
    view: Mutex<Option<(Instant, Result<TargetView, String>)>>,
}

impl Site {
    /// Creates the site and starts to sample the points of the chart.
    pub(crate) fn new(program: &'static Program, target: PathBuf, live: Arc<Live>) -> Self {
        let sampled = Arc::clone(&live);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(SAMPLE_EVERY);
            let mut last = ticks.tick().await;
            loop {
                let now = ticks.tick().await;
                sampled.sample(now.duration_since(last));
                last = now;
            }
        });
        Self {
            program,
            target,
            live,
            view: Mutex::default(),
        }
    }

    pub(crate) async fn answer(&self) -> Response {
        let mut view = self.view.lock().await;
        if view.as_ref().is_none_or(|(at, _)| at.elapsed() >= READ_EVERY) {
            let read = TargetView::read(self.program.star, &self.target).await;
            *view = Some((Instant::now(), read.map_err(|error| error.to_string())));
        }
        let Some((_, view)) = view.as_ref() else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let target = self.target.display().to_string();
        let page = StatusPage::new(self.program, target, &self.live.now(), view, Utc::now());
        match page.render() {
            Ok(html) => (
                [
                    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
                    (header::CACHE_CONTROL, "no-store"),
                    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                    (header::REFERRER_POLICY, "no-referrer"),
                ],
                html,
            )
                .into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        }
    }
}
