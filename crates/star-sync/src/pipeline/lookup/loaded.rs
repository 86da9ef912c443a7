//! Which lookups of the source a load has filled whole, and the digests of the rows that they were filled with: so that
//! the closing snapshot can tell whether it has the same ones.

use std::sync::Mutex;

use crate::declare::digest::Digest;
use crate::declare::lookup::{Lookup, Side};
use crate::declare::source_rows::SourceRows;
use crate::source::digest::DigestPlan;
use crate::source::digest_plans::DigestPlans;

/// All of them.
pub struct LoadedLookups {
    digesting: DigestPlans,
    all: Mutex<Vec<LoadedLookupGroup>>,
}

/// Lookups that were filled from the same rows.
#[derive(Clone)]
pub(crate) struct LoadedLookupGroup {
    pub lookups: Vec<&'static Lookup>,
    /// `None` if their key has no digest.
    pub digest: Option<(DigestPlan, Digest)>,
}

impl LoadedLookups {
    /// None is filled yet.
    pub(crate) fn new(digesting: DigestPlans) -> Self {
        Self {
            digesting,
            all: Mutex::default(),
        }
    }

    /// Begins to fill lookups; nothing of those that the target has.
    pub(crate) fn begin(&self, lookups: &[&'static Lookup]) -> Option<LoadedLookupGroup> {
        let is_of_source = lookups.first()?.side == Side::Source;
        is_of_source.then(|| LoadedLookupGroup {
            lookups: lookups.to_vec(),
            digest: self.digesting.lookups(lookups).map(|plan| (plan, Digest::default())),
        })
    }

    /// Notes that they are filled.
    pub(crate) fn end(&self, loaded: LoadedLookupGroup) {
        self.all.lock().expect("no holder of this lock panics").push(loaded);
    }

    /// All that were filled.
    pub(crate) fn all(&self) -> Vec<LoadedLookupGroup> {
        self.all.lock().expect("no holder of this lock panics").clone()
    }
}

impl LoadedLookupGroup {
    /// Takes in rows that they are filled with: a key, and a value for each.
    pub(crate) fn add(&mut self, rows: &SourceRows) {
        if let Some((plan, digest)) = &mut self.digest {
            *digest += plan.of_rows(rows);
        }
    }
}
