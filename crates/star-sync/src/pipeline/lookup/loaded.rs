//! Records which lookups of the source a load has filled completely, and the digests of the rows read for them, so that
//! the catch-up pass can check whether its snapshot has the same rows.

use std::sync::Mutex;

use crate::declare::digest::Digest;
use crate::declare::lookup::{Lookup, Side};
use crate::declare::source_rows::SourceRows;
use crate::source::digest::DigestPlan;
use crate::source::digest_plans::DigestPlans;

/// All lookups that were filled completely.
pub struct LoadedLookups {
    digesting: DigestPlans,
    all: Mutex<Vec<LoadedLookupGroup>>,
}

/// Lookups that were filled from the same rows.
#[derive(Clone)]
pub(crate) struct LoadedLookupGroup {
    pub lookups: Vec<&'static Lookup>,
    /// `None` if the key cannot be digested.
    pub digest: Option<(DigestPlan, Digest)>,
}

impl LoadedLookups {
    /// Creates the record without lookups.
    pub(crate) fn new(digesting: DigestPlans) -> Self {
        Self {
            digesting,
            all: Mutex::default(),
        }
    }

    /// Begins to fill lookups; `None` for lookups in the target.
    pub(crate) fn begin(&self, lookups: &[&'static Lookup]) -> Option<LoadedLookupGroup> {
        let is_of_source = lookups.first()?.side == Side::Source;
        is_of_source.then(|| LoadedLookupGroup {
            lookups: lookups.to_vec(),
            digest: self.digesting.lookups(lookups).map(|plan| (plan, Digest::default())),
        })
    }

    /// Records that these lookups are filled.
    pub(crate) fn end(&self, loaded: LoadedLookupGroup) {
        self.all.lock().expect("no holder of this lock panics").push(loaded);
    }

    /// All recorded lookups.
    pub(crate) fn all(&self) -> Vec<LoadedLookupGroup> {
        self.all.lock().expect("no holder of this lock panics").clone()
    }
}

impl LoadedLookupGroup {
    /// Adds rows with which the lookups are filled: a key, and a value for each lookup.
    pub(crate) fn add(&mut self, rows: &SourceRows) {
        if let Some((plan, digest)) = &mut self.digest {
            *digest += plan.of_rows(rows);
        }
    }
}
