//! The file format of a reputation: everything but the lists. Nothing here touches a disk.
//!
//! All numbers are little-endian. Times are UTC milliseconds, so a file outlives the clock of its process.
//!
//! | bytes | |
//! |---|---|
//! | 8 | `sluiceRP` |
//! | 4 | version of the format |
//! | 4 | CRC-32 of what follows the header |
//! | 8 | length of what follows the header |
//! | | clients: their number, then each |
//! | | ranges: their number, then each |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::FOREVER;
use super::ban_events::BanCause;
use super::client::Client;
use super::history::{History, Moment};
use super::verdict::BanTerm;
use crate::runtime::clock::{MS, ceil_ms};
use crate::{Error, Result};

const FORMAT: Format = Format { magic: b"sluiceRP", version: 1 };
const HEADER: usize = 24;

/// Stands for the length of a reason where none was given.
const NO_REASON: u32 = u32::MAX;

/// The content of a file.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) clients: Vec<(Client, History)>,
    pub(super) ranges: Vec<(IpNet, BanTerm)>,
}

/// The bytes of a file. A date is a time of the clock plus `ahead`.
pub(super) fn encode<'a>(
    clients: &[(Client, History)],
    ranges: impl Iterator<Item = (IpNet, &'a BanTerm)>,
    ahead: i64,
) -> Vec<u8> {
    let mut content = Writer::new(ahead);
    content.number(clients.len() as u64);
    for (client, history) in clients {
        content.client(*client, history);
    }
    let ranges: Vec<_> = ranges.collect();
    content.number(ranges.len() as u64);
    for (range, term) in ranges {
        content.range(range);
        content.term(term);
    }
    FORMAT.seal(&content.into_bytes())
}

/// Reads a whole file. `source` names it in errors.
pub(super) fn decode(bytes: &[u8], source: &str, ahead: i64) -> Result<Saved> {
    let mut content = Reader::new(FORMAT.checked_content(bytes, source)?, ahead);
    let saved = content.saved().filter(|_| content.is_at_end());
    saved.ok_or_else(|| Format::corrupt(source, "its content is invalid"))
}

/// What a file begins with.
pub(super) struct Format {
    pub(super) magic: &'static [u8; 8],
    pub(super) version: u32,
}

impl Format {
    /// The file of this content.
    pub(super) fn seal(&self, content: &[u8]) -> Vec<u8> {
        let mut file = Vec::with_capacity(HEADER + content.len());
        file.extend_from_slice(self.magic);
        file.extend_from_slice(&self.version.to_le_bytes());
        file.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
        file.extend_from_slice(&(content.len() as u64).to_le_bytes());
        file.extend_from_slice(content);
        file
    }

    /// What follows the header, if the file is complete and its checksum matches.
    pub(super) fn checked_content<'a>(&self, bytes: &'a [u8], source: &str) -> Result<&'a [u8]> {
        let corrupt = |reason| Self::corrupt(source, reason);
        if !bytes.starts_with(&self.magic[..bytes.len().min(self.magic.len())]) {
            return Err(corrupt("it is a file of something else"));
        }
        let cut_short = || corrupt("it is cut short");
        let (header, content) = bytes.split_at_checked(HEADER).ok_or_else(cut_short)?;
        let mut header = Reader::new(&header[self.magic.len()..], 0);
        let (found, checksum, length) =
            (|| Some((header.small()?, header.small()?, header.number()?)))().ok_or_else(cut_short)?;
        if found != self.version {
            let (file, accepted) = (source.to_owned(), self.version);
            return Err(Error::UnsupportedVersion { file, found, accepted });
        }
        match (content.len() as u64).cmp(&length) {
            std::cmp::Ordering::Less => Err(cut_short()),
            std::cmp::Ordering::Greater => Err(corrupt("there is more behind its end")),
            std::cmp::Ordering::Equal if crc32fast::hash(content) != checksum => {
                Err(corrupt("its checksum does not match"))
            }
            std::cmp::Ordering::Equal => Ok(content),
        }
    }

    pub(super) fn corrupt(source: &str, reason: &'static str) -> Error {
        Error::CorruptFile { file: source.to_owned(), reason }
    }
}

pub(super) struct Writer {
    bytes: Vec<u8>,
    ahead: i64,
}

impl Writer {
    /// Dates are times of the clock plus `ahead`.
    pub(super) fn new(ahead: i64) -> Self {
        Self { bytes: Vec::new(), ahead }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn client(&mut self, client: Client, history: &History) {
        self.bytes.extend_from_slice(&client.bits().to_le_bytes());
        self.small(history.bans);
        self.date(history.quiet_since);
        self.number(history.quiet_period.div_ceil(MS));
        self.bytes.push(u8::from(history.term.is_some()));
        if let Some(term) = &history.term {
            self.term(term);
        }
        self.number(history.moments.len() as u64);
        for moment in &history.moments {
            self.date(moment.at);
            self.number(moment.failures);
        }
    }

    pub(super) fn term(&mut self, term: &BanTerm) {
        self.date(term.until);
        self.number(term.failures);
        match &term.reason {
            None => self.small(NO_REASON),
            Some(reason) => {
                self.small(u32::try_from(reason.len()).unwrap_or(NO_REASON));
                self.bytes.extend_from_slice(reason.as_bytes());
            }
        }
    }

    pub(super) fn range(&mut self, range: IpNet) {
        match range {
            IpNet::V4(v4) => {
                self.bytes.push(4);
                self.bytes.extend_from_slice(&v4.addr().octets());
            }
            IpNet::V6(v6) => {
                self.bytes.push(6);
                self.bytes.extend_from_slice(&v6.addr().octets());
            }
        }
        self.bytes.push(range.prefix_len());
    }

    fn date(&mut self, time: u64) {
        let date = if time == FOREVER { FOREVER } else { ceil_ms(time.saturating_add_signed(self.ahead)) };
        self.number(date);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    fn small(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }
}

/// Reads what [`Writer`] writes; `None` for anything else.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    ahead: i64,
}

impl<'a> Reader<'a> {
    /// Dates are times of the clock plus `ahead`.
    pub(super) fn new(bytes: &'a [u8], ahead: i64) -> Self {
        Self { bytes, ahead }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    fn saved(&mut self) -> Option<Saved> {
        let clients = self.number()?;
        let clients = (0..clients).map(|_| self.client()).collect::<Option<_>>()?;
        let ranges = self.number()?;
        let ranges = (0..ranges).map(|_| Some((self.range()?, self.term()?))).collect::<Option<_>>()?;
        Some(Saved { clients, ranges })
    }

    fn client(&mut self) -> Option<(Client, History)> {
        let client = Client::from_bits(u128::from_le_bytes(self.take()?));
        let (bans, quiet_since) = (self.small()?, self.date()?);
        // A period of 0 would divide by zero, whatever the file says.
        let quiet_period = self.duration()?.max(1);
        let term = match self.take::<1>()? {
            [0] => None,
            [1] => Some(self.term()?),
            _ => return None,
        };
        let moments = self.number()?;
        let moments = (0..moments)
            .map(|_| Some(Moment { at: self.date()?, failures: self.number()? }))
            .collect::<Option<_>>()?;
        Some((client, History { moments, bans, quiet_since, quiet_period, term }))
    }

    pub(super) fn term(&mut self) -> Option<BanTerm> {
        let (until, failures) = (self.date()?, self.number()?);
        let reason = match self.small()? {
            NO_REASON => None,
            length => {
                let (text, rest) = self.bytes.split_at_checked(usize::try_from(length).ok()?)?;
                self.bytes = rest;
                Some(Arc::from(std::str::from_utf8(text).ok()?))
            }
        };
        Some(BanTerm { until, reason, failures, cause: BanCause::File })
    }

    pub(super) fn range(&mut self) -> Option<IpNet> {
        let address = match self.take::<1>()? {
            [4] => IpAddr::from(Ipv4Addr::from(self.take::<4>()?)),
            [6] => IpAddr::from(Ipv6Addr::from(self.take::<16>()?)),
            _ => return None,
        };
        let [prefix] = self.take::<1>()?;
        IpNet::new(address, prefix).ok()
    }

    fn date(&mut self) -> Option<u64> {
        let date = self.number()?;
        if date == FOREVER {
            return Some(FOREVER);
        }
        let time = i128::from(date) * i128::from(MS) - i128::from(self.ahead);
        u64::try_from(time.max(0)).ok().filter(|time| *time != FOREVER)
    }

    fn duration(&mut self) -> Option<u64> {
        self.number()?.checked_mul(MS)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn small(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*taken)
    }
}
