//! How many queries each family gets: equal shares, families without room left out, and a sum that is exact.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Shares `total` among places with so much `room` each: as equal as room lets them be, and min(total, Σ room) in all. What
/// equal shares leave over goes one by one to places drawn by `rng`.
pub(super) fn allocate(room: &[usize], total: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut shares = vec![0; room.len()];
    let mut left = total.min(room.iter().sum());
    let mut open: Vec<usize> = (0..room.len()).filter(|&place| room[place] > 0).collect();
    // Places with less room than an equal share are filled, and what they do not take goes to the others.
    while !open.is_empty() {
        let share = left / open.len();
        let (full, others): (Vec<usize>, Vec<usize>) = open.iter().partition(|&&place| room[place] <= share);
        if full.is_empty() {
            break;
        }
        for place in full {
            shares[place] = room[place];
            left -= room[place];
        }
        open = others;
    }
    if open.is_empty() {
        return shares;
    }
    let share = left / open.len();
    open.iter().for_each(|&place| shares[place] = share);
    left -= share * open.len();
    open.shuffle(rng);
    // Every open place has more room than its share, and fewer queries are left over than there are places.
    open.iter().take(left).for_each(|&place| shares[place] += 1);
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;

    #[test]
    fn family_queries_sum_to_what_was_asked_for() {
        // 45 queries over families of 2, 3, 100 and 100 members: 2 + 3 + 20 + 20
        let shares = allocate(&[2, 3, 100, 100], 45, &mut stream(0, "test", 0));
        assert_eq!(shares, [2, 3, 20, 20]);
        for seed in 0..300u64 {
            let room: Vec<usize> =
                (0..1 + seed % 9).map(|place| (seed * 7 + place * 13) as usize % 23).collect();
            for total in [0, 1, 5, 45, 1000] {
                let shares = allocate(&room, total, &mut stream(seed, "test", 0));
                assert_eq!(shares.iter().sum::<usize>(), total.min(room.iter().sum()), "{room:?} {total}");
                assert!(shares.iter().zip(&room).all(|(share, room)| share <= room));
                let least = shares
                    .iter()
                    .zip(&room)
                    .filter(|(share, room)| share < room)
                    .map(|(share, _)| share)
                    .min();
                let most = shares.iter().max();
                assert!(
                    least.is_none_or(|least| most.is_none_or(|most| least + 1 >= *most)),
                    "equal shares: {shares:?}"
                );
            }
        }
    }
}
