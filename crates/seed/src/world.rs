//! The model from which all rows are generated: the number of rows, their keys, and the times of events.
//!
//! Each row is derived from the seed, its table and its number by integer arithmetic only. Rows can therefore be
//! generated in any order and on any machine with the same result.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, Weekday};

use super::words::nth;

/// Days of history: four years, one of them a leap year.
const DAYS: u32 = 1_461;
/// Shops are open from 9:00 to 23:00.
const OPENS_AT_SECONDS: u64 = 9 * 3_600;
const OPEN_SECONDS: u64 = 14 * 3_600;
/// How busy each month is, January first, in percent.
const MONTHS: [u64; 12] = [115, 105, 95, 90, 85, 90, 110, 120, 90, 95, 110, 130];

/// The official row counts of the tables that grow with the scale.
const CUSTOMERS: u64 = 599;
const FILMS: u64 = 1_000;
const ACTORS: u64 = 200;
const FILM_ACTORS: u64 = 5_462;
const INVENTORY: u64 = 4_581;
const RENTALS: u64 = 16_044;
pub const PAYMENTS: u64 = 16_049;
/// Number of payments without a rental, out of `PAYMENTS`.
pub const PAYMENTS_WITHOUT_RENTAL: u64 = PAYMENTS - RENTALS;

pub const CITIES: u64 = 600;
pub const STORES: u64 = 2;
pub const STAFF: u64 = 2;

/// The settings that a schema was seeded with; they are stored in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub scale: u32,
    pub seed: u64,
    /// History ends before this day.
    pub until: NaiveDate,
}

/// The data from which the rows of all tables are derived.
pub struct World {
    pub settings: Settings,
    pub customers: u64,
    pub films: u64,
    pub actors: u64,
    pub film_actors: u64,
    pub inventory: u64,
    pub rentals: u64,
    pub payments: u64,
    /// Rental n is of copy n times this, modulo the number of copies. Each copy is used once per round, so that it is
    /// not rented out twice at the same time.
    stride: u64,
    /// The cumulative amount of business up to the end of each day.
    business: Vec<u64>,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let scale = u64::from(settings.scale);
        // Films and actors grow from scale 10 on, copies from scale 5 on: a chain gains customers first.
        let tenfold = scale.max(10);
        let inventory = INVENTORY * scale.max(5) / 5;
        Self {
            settings,
            customers: CUSTOMERS * scale,
            films: FILMS * tenfold / 10,
            actors: ACTORS * tenfold / 10,
            film_actors: FILM_ACTORS * tenfold / 10,
            inventory,
            rentals: RENTALS * scale,
            payments: PAYMENTS * scale,
            stride: coprime(inventory * 618 / 1_000, inventory),
            business: business(first_day(settings.until)),
        }
    }

    pub fn first_day(&self) -> NaiveDate {
        first_day(self.settings.until)
    }

    pub fn rentals_a_day(&self) -> u64 {
        self.rentals / u64::from(DAYS)
    }

    /// The first moment after history.
    pub fn end(&self) -> NaiveDateTime {
        self.settings.until.into()
    }

    /// Random numbers for row `number` of a table; `purpose` is the table's name or another use.
    pub fn random(&self, purpose: &str, number: u64) -> Random {
        let purpose = purpose.bytes().fold(self.settings.seed, |state, byte| {
            mix(state.wrapping_add(u64::from(byte)).wrapping_add(STEP))
        });
        Random(mix(purpose.wrapping_add(number.wrapping_mul(STEP))))
    }

    /// The time at which rental `number` begins. Rentals are in order, within opening hours, more frequent in busy
    /// months and at weekends, and increase from year to year.
    pub fn moment(&self, number: u64, random: &mut Random) -> NaiveDateTime {
        let all = self.business[self.business.len() - 1];
        let (from, to) = (number * all / self.rentals, (number + 1) * all / self.rentals);
        let point = from + random.below((to - from).max(1));
        let day = self.business.partition_point(|until| *until <= point);
        let before = if day == 0 { 0 } else { self.business[day - 1] };
        let seconds = OPENS_AT_SECONDS + (point - before) * OPEN_SECONDS / (self.business[day] - before);
        let midnight: NaiveDateTime = (self.first_day() + Days::new(day as u64)).into();
        midnight + TimeDelta::seconds(seconds.cast_signed())
    }

    /// A random second of history.
    pub fn any_moment(&self, random: &mut Random) -> NaiveDateTime {
        let seconds = random.below(u64::from(DAYS) * 86_400);
        NaiveDateTime::from(self.first_day()) + TimeDelta::seconds(seconds.cast_signed())
    }

    /// The copy that is rented in rental `rental`.
    pub fn copy_of(&self, rental: u64) -> u64 {
        rental % self.inventory * self.stride % self.inventory
    }

    /// The number of customers when rental `rental` began: a fifth of them existed from the start.
    pub fn customers_at(&self, rental: u64) -> u64 {
        self.customers / 5 + self.customers * 4 / 5 * rental / self.rentals
    }

    /// The first rental that customer `customer` could have made; none if the customer existed from the start.
    pub fn first_rental_of(&self, customer: u64) -> Option<u64> {
        let later = customer.checked_sub(self.customers / 5)?;
        Some((later * self.rentals / (self.customers * 4 / 5)).min(self.rentals - 1))
    }
}

fn first_day(until: NaiveDate) -> NaiveDate {
    until - Days::new(DAYS.into())
}

/// The cumulative amount of business up to the end of each day of history.
fn business(first_day: NaiveDate) -> Vec<u64> {
    let mut sum = 0;
    (0..DAYS)
        .map(|number| {
            let day = first_day + Days::new(number.into());
            let weekday = match day.weekday() {
                Weekday::Fri | Weekday::Sun => 130,
                Weekday::Sat => 160,
                _ => 80,
            };
            // The last day has twice the business of the first.
            let growth = u64::from(DAYS + number);
            sum += weekday * MONTHS[day.month0() as usize] * growth;
            sum
        })
        .collect()
}

/// The first number from `from` on that shares no factor with `with`.
fn coprime(from: u64, with: u64) -> u64 {
    let gcd = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    // `with` - 1 shares no factor with `with`, so the search ends.
    (from.max(1)..with.max(2))
        .find(|number| gcd(*number, with) == 1)
        .unwrap_or(1)
}

/// The key of row `number`, counted from 0. Keys start at 1, with a gap after every `run` rows, like those of a table
/// from which rows were deleted.
pub fn key(number: u64, run: u64) -> u64 {
    number + 1 + number / run
}

/// Whether row `number` is one of the `chosen` of every `of` rows, evenly spread.
pub fn is_chosen(number: u64, chosen: u64, of: u64) -> bool {
    chosen_before(number + 1, chosen, of) > chosen_before(number, chosen, of)
}

/// The number of chosen rows before row `number`.
pub fn chosen_before(number: u64, chosen: u64, of: u64) -> u64 {
    number * chosen / of
}

/// A stream of random numbers: splitmix64, implemented here so that the data does not depend on library versions.
pub struct Random(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Sebastiano Vigna's finalizer, <https://prng.di.unimi.it/splitmix64.c>.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A uniformly distributed number from 0 to `limit` - 1. `limit` is below 2^32.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((self.next() >> 32) * limit) >> 32
    }

    /// A number from 0 to `limit` - 1, low ones more often: the first tenth has a third of the probability, and the
    /// very first number four times the average.
    pub fn skewed(&mut self, limit: u64) -> u64 {
        let uniform = self.next() >> 32;
        let cube = (((uniform * uniform) >> 32) * uniform) >> 32;
        (((uniform + 3 * cube) / 4) * limit) >> 32
    }

    pub fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        nth(of, self.below(of.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn world(scale: u32) -> World {
        let until = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        World::new(Settings { scale, seed: 1, until })
    }

    #[test]
    fn rentals_follow_each_other_within_history_and_opening_hours() {
        let world = world(3);
        let mut last = NaiveDateTime::from(world.first_day());
        for number in 0..world.rentals {
            let moment = world.moment(number, &mut world.random("rental", number));
            assert!(moment >= last && moment < world.end(), "{number}: {moment}");
            let seconds = (moment - NaiveDateTime::from(moment.date())).num_seconds();
            assert!((9 * 3_600..23 * 3_600).contains(&seconds), "{moment}");
            last = moment;
        }
        assert!(world.end() - last < TimeDelta::days(2), "{last}");
    }

    #[test]
    fn every_copy_is_rented_once_a_round() {
        for scale in [1, 7, 100] {
            let world = world(scale);
            let copies: HashSet<u64> = (0..world.inventory).map(|rental| world.copy_of(rental)).collect();
            assert_eq!(copies.len() as u64, world.inventory);
            assert_eq!(world.copy_of(0), world.copy_of(world.inventory));
        }
    }

    #[test]
    fn a_customer_rents_from_the_day_on_that_made_them_one() {
        let world = world(1);
        for customer in 0..world.customers {
            if let Some(first) = world.first_rental_of(customer) {
                assert!(first == 0 || world.customers_at(first - 1) <= customer, "{customer}");
            }
        }
        assert_eq!(world.customers_at(world.rentals), world.customers - 1);
    }

    #[test]
    fn chosen_rows_are_as_many_as_asked_for_and_keys_have_gaps() {
        assert_eq!((0..16_049).filter(|row| is_chosen(*row, 5, 16_049)).count(), 5);
        assert_eq!(
            (0..6).map(|number| key(number, 3)).collect::<Vec<_>>(),
            [1, 2, 3, 5, 6, 7]
        );
    }

    #[test]
    fn random_numbers_are_splitmix64_and_skewed_ones_favour_the_first() {
        // The first outputs of the published generator for the state 0.
        let mut random = Random(0);
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
        let first_tenth = (0..10_000).filter(|_| random.skewed(1_000) < 100).count();
        assert!((3_000..3_400).contains(&first_tenth), "{first_tenth}");
    }
}
