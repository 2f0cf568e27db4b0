//! Which fragments of a file a range needs.

use crate::Row;

/// The run of `rows` that shows `start..end` (ticks since the file's start): from the entry point at or before
/// `start` up to the last fragment that begins before `end`.
///
/// A file whose first fragments come before any entry point starts at its first entry point. Empty where nothing
/// can be decoded.
pub fn fragments_for(rows: &[Row], start: u64, end: u64) -> &[Row] {
    // `partition_point` needs order, which a trailer's reader has checked.
    let behind = rows.partition_point(|row| row.start_ticks < end);
    let first_after = rows.partition_point(|row| row.start_ticks <= start);
    let entry = rows[..first_after.min(behind)].iter().rposition(|row| row.entry_point);
    let entry = entry.or_else(|| {
        let within = rows.get(first_after..behind)?;
        within.iter().position(|row| row.entry_point).map(|at| at + first_after)
    });
    match entry {
        Some(entry) => &rows[entry..behind],
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `K` begins with a key frame, `p` does not; each lasts ten ticks.
    fn check(file: &str, start: u64, end: u64, expected: std::ops::Range<usize>) {
        let rows: Vec<_> = file
            .chars()
            .enumerate()
            .map(|(at, kind)| Row {
                start_ticks: at as u64 * 10,
                duration_ticks: 10,
                entry_point: kind == 'K',
                sequence: at as u64,
                ..Row::default()
            })
            .collect();
        let found: Vec<_> =
            fragments_for(&rows, start, end).iter().map(|row| row.sequence as usize).collect();
        assert_eq!(found, expected.collect::<Vec<_>>(), "{file} {start}..{end}");
    }

    #[test]
    fn a_range_begins_at_the_entry_point_before_it() {
        check("KppKpp", 0, 60, 0..6);
        check("KppKpp", 25, 35, 0..4);
        check("KppKpp", 30, 31, 3..4);
        check("KppKpp", 59, 60, 3..6);
        check("KppKpp", 100, 200, 3..6);
        check("KppKpp", 10, 10, 0..1);
    }

    #[test]
    fn what_can_not_be_decoded_is_left_out() {
        check("ppKp", 0, 40, 2..4);
        check("ppKp", 0, 20, 0..0);
        check("pppp", 0, 40, 0..0);
        check("", 0, 40, 0..0);
    }
}
