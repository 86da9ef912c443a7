//! Divides the keys of a table into its pages and the gaps between them, so that every key is covered once.

use std::cmp::max;

use crate::declare::digest::Digest;
use crate::declare::key_range::KeyRange;
use crate::pipeline::page_digest::PageDigest;

/// A key range of a table, and the page that loaded it, if any.
#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    pub key_range: KeyRange,
    pub page: Option<&'a PageDigest>,
}

impl Piece<'_> {
    /// The digest of its page; empty without a page.
    pub(super) fn digest(&self) -> Digest {
        self.page.map_or_else(Digest::default, |page| page.digest)
    }
}

/// Divides all keys after `after` into the key ranges of the pages and the gaps between them. A page that was read
/// twice counts once; overlapping pages become one range without a page.
pub(super) fn cover(pages: &[PageDigest], after: Option<i64>) -> Vec<Piece<'_>> {
    let mut pages: Vec<&PageDigest> = pages.iter().collect();
    pages.sort_by_key(|page| page.key_range.ends().0);
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    // All keys up to `up_to` are covered; all keys if `is_open`.
    let (mut up_to, mut is_open) = (after, false);
    for page in pages {
        let (page_after, page_up_to) = page.key_range.ends();
        let overlaps = is_open || page_after < up_to;
        match pieces.last_mut() {
            Some(last) if last.key_range == page.key_range => {
                last.page = Some(page);
                continue;
            }
            Some(last) if overlaps => {
                let end = if is_open || page_up_to.is_none() {
                    None
                } else {
                    max(up_to, page_up_to)
                };
                *last = Piece {
                    key_range: KeyRange::Between {
                        after: last.key_range.ends().0,
                        up_to: end,
                    },
                    page: None,
                };
                (up_to, is_open) = (end, end.is_none());
                continue;
            }
            _ if page_after > up_to => pieces.push(Piece {
                key_range: KeyRange::Between {
                    after: up_to,
                    up_to: page_after,
                },
                page: None,
            }),
            _ => {}
        }
        pieces.push(Piece {
            key_range: page.key_range.clone(),
            page: Some(page),
        });
        (up_to, is_open) = (page_up_to, page_up_to.is_none());
    }
    if !is_open {
        pieces.push(Piece {
            key_range: KeyRange::Between {
                after: up_to,
                up_to: None,
            },
            page: None,
        });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(after: Option<i64>, up_to: Option<i64>, rows: u64) -> PageDigest {
        PageDigest {
            key_range: KeyRange::Between { after, up_to },
            digest: Digest { rows, sum: 0 },
            totals: None,
        }
    }

    /// Ends of the pieces, and the rows of their pages.
    fn covered(pages: &[PageDigest], after: Option<i64>) -> Vec<(Option<i64>, Option<i64>, Option<u64>)> {
        let pieces = cover(pages, after).into_iter();
        let of_piece = |piece: Piece<'_>| {
            let (after, up_to) = piece.key_range.ends();
            (after, up_to, piece.page.map(|page| page.digest.rows))
        };
        pieces.map(of_piece).collect()
    }

    #[test]
    fn pages_cover_all_keys_and_what_lies_between_them_has_none() {
        let (first, second, last) = (
            page(None, Some(10), 1),
            page(Some(10), Some(20), 2),
            page(Some(20), None, 3),
        );
        let all = [last.clone(), first.clone(), second.clone()];
        assert_eq!(
            covered(&all, None),
            [
                (None, Some(10), Some(1)),
                (Some(10), Some(20), Some(2)),
                (Some(20), None, Some(3))
            ]
        );
        // A page is missing in the middle, at the beginning, at the end.
        assert_eq!(
            covered(&[first.clone(), last.clone()], None),
            [
                (None, Some(10), Some(1)),
                (Some(10), Some(20), None),
                (Some(20), None, Some(3))
            ]
        );
        assert_eq!(
            covered(std::slice::from_ref(&second), None),
            [
                (None, Some(10), None),
                (Some(10), Some(20), Some(2)),
                (Some(20), None, None)
            ]
        );
        assert_eq!(covered(&[], None), [(None, None, None)]);
        // After the keys that an earlier load wrote.
        assert_eq!(covered(&[last], Some(20)), [(Some(20), None, Some(3))]);
        assert_eq!(covered(&[], Some(20)), [(Some(20), None, None)]);
    }

    #[test]
    fn a_page_that_came_twice_counts_once_and_pages_that_overlap_do_not() {
        let (first, last) = (page(None, Some(10), 1), page(Some(10), None, 3));
        let again = page(None, Some(10), 2);
        assert_eq!(
            covered(&[first.clone(), again, last.clone()], None),
            [(None, Some(10), Some(2)), (Some(10), None, Some(3))]
        );
        let wide = page(Some(5), Some(15), 2);
        assert_eq!(
            covered(&[first.clone(), wide, page(Some(15), None, 4)], None),
            [(None, Some(15), None), (Some(15), None, Some(4))]
        );
        assert_eq!(covered(&[first, page(None, None, 5), last], None), [(None, None, None)]);
    }
}
