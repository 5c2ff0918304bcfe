//! Tests of 802.11 headers (IEEE 802.11-2020, section 9.2): types, directions, and addresses, whose places depend on both.

use super::{Generator, Refusal};
use crate::filter::condition::Condition;
use crate::filter::expression::Direction;
use crate::filter::headers::{Place, Size};

const NOT_WLAN: &str = "only 802.11 frames have it";
/// Bits of the first byte: a control frame (or a reserved one); a data frame.
const CONTROL_BIT: u32 = 0x04;
const DATA_BIT: u32 = 0x08;
const TYPE_MASK: u32 = 0x0c;
const SUBTYPE_MASK: u32 = 0xf0;
const CONTROL: u32 = 0x04;
const CLEAR_TO_SEND: u32 = 0xc0;
const ACKNOWLEDGEMENT: u32 = 0xd0;
/// Bits of the second byte.
const TO_DS: u32 = 0x01;
const FROM_DS: u32 = 0x02;
const DS_MASK: u32 = 0x03;

impl Generator {
    pub(super) fn frame_type(&mut self, value: u32, mask: u32) -> Result<Condition, Refusal> {
        if !self.headers.is_wlan() {
            return Err(NOT_WLAN.to_owned());
        }
        Ok(self.masked(self.headers.header, Size::Byte, value, mask))
    }

    pub(super) fn frame_direction(&mut self, direction: u32) -> Result<Condition, Refusal> {
        if !self.headers.is_wlan() {
            return Err(NOT_WLAN.to_owned());
        }
        Ok(self.masked(self.headers.header.plus(1), Size::Byte, direction, DS_MASK))
    }

    pub(super) fn is_data_frame(&mut self) -> Condition {
        let header = self.headers.header;
        self.any_bit(header, CONTROL_BIT).negated().and(self.any_bit(header, DATA_BIT))
    }

    pub(super) fn wlan_station(
        &mut self,
        direction: Direction,
        address: [u8; 6],
    ) -> Result<Condition, Refusal> {
        let header = self.headers.header;
        Ok(match direction {
            Direction::Source => self.wlan_source(address),
            Direction::Destination => self.wlan_destination(|generator, at| generator.six_bytes(at, address)),
            Direction::Both => {
                let source = self.wlan_source(address);
                source.and(self.wlan_destination(|generator, at| generator.six_bytes(at, address)))
            }
            Direction::Any | Direction::Either => {
                let source = self.wlan_source(address);
                source.or(self.wlan_destination(|generator, at| generator.six_bytes(at, address)))
            }
            Direction::Address1 => self.six_bytes(header.plus(4), address),
            Direction::Address2 => self.has_second_address().and(self.six_bytes(header.plus(10), address)),
            Direction::Address3 => {
                let control = self.masked(header, Size::Byte, CONTROL, TYPE_MASK);
                control.negated().and(self.six_bytes(header.plus(16), address))
            }
            Direction::Address4 => {
                let both = self.masked(header.plus(1), Size::Byte, DS_MASK, DS_MASK);
                both.and(self.six_bytes(header.plus(24), address))
            }
            // libpcap asks for the data bit, so that neither is found in control frames.
            Direction::Receiver => {
                self.any_bit(header, DATA_BIT).and(self.six_bytes(header.plus(4), address))
            }
            Direction::Transmitter => {
                let data = self.any_bit(header, DATA_BIT);
                data.and(self.has_second_address()).and(self.six_bytes(header.plus(10), address))
            }
        })
    }

    /// Every frame but these two control frames.
    fn has_second_address(&mut self) -> Condition {
        let header = self.headers.header;
        let control = self.masked(header, Size::Byte, CONTROL, TYPE_MASK);
        let clear = self.masked(header, Size::Byte, CLEAR_TO_SEND, SUBTYPE_MASK);
        let acknowledgement = self.masked(header, Size::Byte, ACKNOWLEDGEMENT, SUBTYPE_MASK);
        control.negated().or(clear.negated().and(acknowledgement.negated()))
    }

    /// The source: the second address, but in data frames from the distribution system the third, or, when they also
    /// go to it, the fourth.
    fn wlan_source(&mut self, address: [u8; 6]) -> Condition {
        let header = self.headers.header;
        let flags = header.plus(1);
        let management =
            self.any_bit(header, DATA_BIT).negated().and(self.six_bytes(header.plus(10), address));
        let not_from = self.any_bit(flags, FROM_DS).negated().and(self.six_bytes(header.plus(10), address));
        let from = self.any_bit(flags, FROM_DS);
        let not_to = self.any_bit(flags, TO_DS).negated().and(self.six_bytes(header.plus(16), address));
        let to = self.any_bit(flags, TO_DS).and(self.six_bytes(header.plus(24), address));
        let data = self.any_bit(header, DATA_BIT).and(not_from.or(from.and(not_to.or(to))));
        self.any_bit(header, CONTROL_BIT).negated().and(management.or(data))
    }

    /// What `test` says of the destination: the first address, but in data frames to the distribution system the third.
    fn wlan_destination(&mut self, test: impl Fn(&mut Self, Place) -> Condition) -> Condition {
        let header = self.headers.header;
        let flags = header.plus(1);
        let management = self.any_bit(header, DATA_BIT).negated().and(test(self, header.plus(4)));
        let not_to = self.any_bit(flags, TO_DS).negated().and(test(self, header.plus(4)));
        let to = self.any_bit(flags, TO_DS).and(test(self, header.plus(16)));
        let data = self.any_bit(header, DATA_BIT).and(not_to.or(to));
        self.any_bit(header, CONTROL_BIT).negated().and(management.or(data))
    }

    pub(super) fn wlan_multicast(&mut self) -> Condition {
        self.wlan_destination(|generator, at| generator.any_bit(at, 1))
    }
}
