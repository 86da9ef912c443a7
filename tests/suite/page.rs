//! The status page at `/` beside the metrics: its content during a run, after a mismatch, and with the source down; and
//! its layout where Chromium is installed.

use std::process::{Child, Stdio};

use crate::harness::http::{body, free_port, get};
use crate::harness::prometheus::{Process, wait_until};
use crate::harness::{Sandbox, send};

/// A repeating sync with its page.
struct Site {
    address: String,
    sync: Process,
}

impl Site {
    fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let port = free_port();
        let mut command = sandbox.command(arguments);
        command.args(["--metrics-addr", &port, "--quiet"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let site = Self {
            address: format!("127.0.0.1:{port}"),
            sync: Process(command.spawn().unwrap()),
        };
        wait_until("the page answers", || get(&site.address, "/").is_ok());
        site
    }

    /// An endless sync that also validates.
    fn of(sandbox: &Sandbox) -> Self {
        let arguments = [
            "incremental",
            "--every",
            "200ms",
            "--validate-every",
            "500ms",
            "--verify-budget",
            "0",
            // Rows within the safety lag are re-read, and so corrected before a validation finds the difference.
            "--overlap",
            "1",
        ];
        Self::start(sandbox, &arguments)
    }

    fn page(&self) -> String {
        let answer = get(&self.address, "/").unwrap();
        assert!(answer.contains(" 200 OK") && answer.contains("content-security-policy: default-src 'none'"));
        body(&answer).to_owned()
    }

    /// Waits until the page contains these words, and returns it.
    fn page_with(&self, words: &str) -> String {
        wait_until(words, || self.page().contains(words));
        self.page()
    }

    fn process(&self) -> &Child {
        &self.sync.0
    }
}

/// Plants a difference that a validation finds: the amount of one of today's payments.
fn plant_a_mismatch(sandbox: &Sandbox) {
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 1 WHERE payment_id = 3");
}

/// A loaded star with payments of today: a repeated validation covers the last 30 days.
fn loaded() -> Sandbox {
    let sandbox = Sandbox::new();
    // The change timestamps stay old: a row with a recent one would be re-read, and a difference in it corrected before a
    // validation finds it.
    sandbox.change(&[
        "UPDATE payment SET payment_date = UTC_TIMESTAMP(), last_update = UTC_TIMESTAMP() - INTERVAL 1 DAY
         WHERE payment_id <= 20",
    ]);
    sandbox.load();
    sandbox
}

#[test]
fn the_page_tells_how_the_sync_stands() {
    let sandbox = loaded();
    let site = Site::of(&sandbox);
    let well = site.page_with("validate, ");
    for words in [
        "Last success ",
        "film_category",
        "full-load",
        "Quarantined rows",
        "http-equiv=\"refresh\"",
    ] {
        assert!(well.contains(words), "no {words} in {well}");
    }
    assert!(
        !well.contains("<script") && !well.contains("http://") && !well.contains("https://"),
        "{well}"
    );

    plant_a_mismatch(&sandbox);
    let mismatch = site.page_with("Source and target do not match");
    assert!(
        mismatch.contains("fact_payment, ") && mismatch.contains("MISMATCH: "),
        "{mismatch}"
    );
    sandbox.change(&["UPDATE payment SET last_update = NOW() WHERE payment_id = 3"]);
    wait_until("it matches again", || !site.page().contains("do not match"));

    sandbox.change(&["ALTER TABLE film RENAME TO film_away"]);
    // A run that was in progress when the table was renamed fails with another code.
    let failing = site.page_with("error[SOURCE_UNFIT]");
    assert!(
        failing.contains("Failing for ") && failing.contains("hint:"),
        "{failing}"
    );
    sandbox.change(&["ALTER TABLE film_away RENAME TO film"]);
    site.page_with("Last success ");
    assert!(get(&site.address, "/metrics").unwrap().contains(" 200 OK"));
    send("-TERM", site.process());
}

#[test]
fn the_page_escapes_what_it_shows_and_lives_without_a_star() {
    let sandbox = Sandbox::new();
    let target = sandbox.folder().join("<b onclick=alert(1)>&.db");
    let site = Site::start(
        &sandbox,
        &["incremental", "--every", "1s", "--target", target.to_str().unwrap()],
    );
    let page = site.page_with("Failing for ");
    assert!(page.contains("error[TARGET_MISSING]"), "{page}");
    assert!(!page.contains("<b onclick"), "{page}");
    assert!(page.contains("onclick=alert(1)"), "{page}");
}

#[test]
fn a_full_load_shows_a_bar_for_each_table() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    // With pages this small, the load lasts long enough to be seen.
    let site = Site::start(&sandbox, &["full-load", "--batch-size", "5"]);
    let page = site.page_with("aria-label=\"fact_rental\"");
    assert!(
        page.contains("full-load in progress") && page.contains("rows/s"),
        "{page}"
    );
}

/// Tests in a real Chromium that nothing overflows, on a desktop and on a phone.
mod needs_chromium {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;

    /// Where screenshots are stored for review (CONTRIBUTING.md); by default in the test's own folder.
    fn picture(sandbox: &Sandbox, name: &str) -> PathBuf {
        let folder =
            std::env::var_os("SAKILA_SYNC_PAGE_PICTURES").map_or_else(|| sandbox.folder().to_owned(), PathBuf::from);
        folder.join(name)
    }

    fn chromium(profile: &Path, arguments: &[&str]) -> String {
        let program = ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .find(|program| Command::new(program).arg("--version").output().is_ok())
            .expect("Chromium is there: a test in a module needs_chromium");
        let output = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args(["--hide-scrollbars", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The layout of a page at this width in pixels: the DOM after a script has measured it in a frame.
    fn measured(sandbox: &Sandbox, page: &str, width: u32) -> String {
        let framed = page.replace('&', "&amp;").replace('"', "&quot;");
        let wrapper = format!(
            "<iframe id=f srcdoc=\"{framed}\" style=\"width:{width}px;height:3000px\"></iframe><script>\
             f.onload = () => {{ const root = f.contentDocument.documentElement; const view = f.contentWindow;\
             document.body.dataset.overflow = root.scrollWidth - view.innerWidth;\
             document.body.dataset.columns = \
               view.getComputedStyle(f.contentDocument.querySelector('main')).gridTemplateColumns.split(' ').length;\
             document.body.dataset.headings = f.contentDocument.querySelectorAll('h2').length; }};</script>"
        );
        let file = sandbox.folder().join("framed.html");
        fs::write(&file, wrapper).unwrap();
        let dom = chromium(
            &sandbox.folder().join("profile"),
            &[
                "--virtual-time-budget=5000",
                "--dump-dom",
                &format!("file://{}", file.display()),
            ],
        );
        let body = dom.find("<body").map_or("", |at| &dom[at..]);
        body.split_once('>').map_or("", |(tag, _)| tag).to_owned()
    }

    fn shoot(sandbox: &Sandbox, site: &Site, name: &str, size: &str, is_dark: bool) {
        let file = picture(sandbox, name);
        chromium(
            &sandbox.folder().join("profile"),
            &[
                &format!("--window-size={size}"),
                // Blink's own names for dark and light.
                if is_dark {
                    "--blink-settings=preferredColorScheme=0"
                } else {
                    "--blink-settings=preferredColorScheme=1"
                },
                &format!("--screenshot={}", file.display()),
                &format!("http://{}/", site.address),
            ],
        );
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{error}: {}", file.display()));
        assert!(bytes.starts_with(b"\x89PNG"), "{name} is a picture");
    }

    #[test]
    #[ignore = "needs Chromium"]
    fn the_page_fits_a_desktop_and_a_phone() {
        let sandbox = loaded();
        let site = Site::of(&sandbox);
        site.page_with("validate, ");
        shoot(&sandbox, &site, "page-light.png", "1100,1000", false);
        plant_a_mismatch(&sandbox);
        let page = site.page_with("Source and target do not match");
        for (width, columns) in [(1100, 2), (390, 1)] {
            let measured = measured(&sandbox, &page, width);
            assert!(measured.contains("data-overflow=\"0\""), "{width}: {measured}");
            assert!(
                measured.contains(&format!("data-columns=\"{columns}\"")),
                "{width}: {measured}"
            );
            // There is a seventh heading while a run is in progress.
            let has_headings = |count: u32| measured.contains(&format!("data-headings=\"{count}\""));
            assert!(has_headings(6) || has_headings(7), "{width}: {measured}");
        }
        shoot(&sandbox, &site, "page-mismatch-dark.png", "1100,1000", true);
        shoot(&sandbox, &site, "page-phone.png", "500,1000", false);
    }
}
