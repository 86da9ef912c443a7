//! The status page at `/` beside the metrics, for sites without Grafana.
//!
//! One HTML document without scripts and without anything from elsewhere, which asks for itself again every few seconds.
//! It shows names of tables, numbers and errors, and no value of a row.

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

/// However many look at it: the target is read no more often than this.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Styles stand in the document; scripts, pictures and frames have no place in it.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page is made from.
pub(crate) struct Site {
    program: &'static Program,
    target: PathBuf,
    live: Arc<Live>,
    view: Mutex<Option<(Instant, Result<TargetView, String>)>>,
}

impl Site {
    /// Begins to take the points of the chart.
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
