//! Clock time: what timeouts are measured in. It follows packet time but never goes back.

/// Packets in a row that must lie behind before [`Clock`] believes that time itself was set back.
pub const REBASE_PACKETS: u32 = 64;
/// How far behind they must lie. Reordering between queues and interfaces stays far below.
pub const REBASE_NS: i64 = 60_000_000_000;

/// A longer leap ahead counts as this much and a part of a second: it ends every flow with shorter timeouts all the same,
/// and hostile times that leap ahead and back again and again do not drive the clock to the end of time.
const LEAP_NS: i64 = 30 * 24 * 3_600 * SECOND_NS;
const SECOND_NS: i64 = 1_000_000_000;

/// No capture is from before 1823 or after 2116: times beyond are taken for these, so that adding a timeout never
/// overflows.
const FARTHEST_NS: i64 = i64::MAX / 2;

/// The running maximum of packet time over the whole capture, told packet by packet in capture order.
///
/// One wrong stamp in the far future would stop such a maximum, and with it every timeout, for good. So when
/// [`REBASE_PACKETS`] packets in a row lie more than [`REBASE_NS`] behind, the clock takes their time as the new
/// course of time and goes on from where it is. Two interleaved sources whose clocks differ never cause that.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    now_ns: Option<i64>,
    /// Added to packet time; grows when time was set back, falls when it leapt ahead.
    offset_ns: i64,
    behind: u32,
    backward: u64,
    rebased: u64,
}

impl Clock {
    /// Clock time at a packet with this capture time.
    pub fn tick(&mut self, ts_ns: i64) -> i64 {
        let ts_ns = ts_ns.clamp(-FARTHEST_NS, FARTHEST_NS).saturating_add(self.offset_ns);
        let now_ns = *self.now_ns.get_or_insert(ts_ns);
        if ts_ns >= now_ns {
            // Whole seconds: what is counted in milliseconds of clock time stays that of packet time.
            let excess_ns = (ts_ns.saturating_sub(now_ns) - LEAP_NS).max(0) / SECOND_NS * SECOND_NS;
            self.offset_ns = self.offset_ns.saturating_sub(excess_ns);
            self.behind = 0;
            self.now_ns = Some(ts_ns - excess_ns);
            return ts_ns - excess_ns;
        }
        self.backward += 1;
        self.fall_behind(now_ns.saturating_sub(ts_ns));
        now_ns
    }

    fn fall_behind(&mut self, by_ns: i64) {
        self.behind = if by_ns > REBASE_NS { self.behind + 1 } else { 0 };
        if self.behind == REBASE_PACKETS {
            self.offset_ns = self.offset_ns.saturating_add(by_ns);
            self.behind = 0;
            self.rebased += 1;
        }
    }

    /// Clock time at the last packet; `None` before the first.
    pub fn now_ns(&self) -> Option<i64> {
        self.now_ns
    }

    /// Packets whose time lay before that of an earlier packet.
    pub fn backward(&self) -> u64 {
        self.backward
    }

    /// Times the course of time was set back.
    pub fn rebased(&self) -> u64 {
        self.rebased
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_running_maximum() {
        let mut clock = Clock::default();
        let times: Vec<i64> = [5, 3, 9, 9, 8, 12].into_iter().map(|ts| clock.tick(ts)).collect();
        assert_eq!(times, [5, 5, 9, 9, 9, 12]);
        assert_eq!(clock.backward(), 2);
    }

    #[test]
    fn one_stamp_from_the_future_does_not_stop_it() {
        let mut clock = Clock::default();
        clock.tick(0);
        clock.tick(i64::MAX);
        let times: Vec<i64> = (1..200).map(|i| clock.tick(i * 1_000_000_000)).collect();
        assert_eq!(clock.rebased(), 1);
        assert_eq!(times.last().copied(), Some(LEAP_NS + i64::MAX / 2 % SECOND_NS + (199 - 64) * SECOND_NS));
    }

    #[test]
    fn times_that_leap_for_ever_do_not_reach_the_end_of_time() {
        let mut clock = Clock::default();
        let mut before = clock.tick(0);
        for packet in 0..100_000 {
            let now = clock.tick(if packet % 65 == 0 { i64::MAX } else { i64::MIN });
            assert!(now >= before);
            before = now;
        }
        assert!(clock.rebased() > 1_000 && before < FARTHEST_NS, "{before}");
    }

    #[test]
    fn two_sources_an_hour_apart_do_not_move_it() {
        let mut clock = Clock::default();
        for i in 0..10_000 {
            clock.tick(i * 1_000 + (i % 2) * 3_600_000_000_000);
        }
        assert_eq!(clock.rebased(), 0);
        assert_eq!(clock.now_ns(), Some(9_999 * 1_000 + 3_600_000_000_000));
    }
}
