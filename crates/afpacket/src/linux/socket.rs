//! The system calls on a packet socket that no safe wrapper exists for.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::{Error, Instruction};

/// Opens a packet socket that receives nothing until it is bound.
pub(super) fn open(kind: SocketType) -> Result<OwnedFd, Error> {
    rustix::net::socket_with(AddressFamily::PACKET, kind, SocketFlags::CLOEXEC, None).map_err(|e| match e {
        rustix::io::Errno::PERM | rustix::io::Errno::ACCESS => Error::NotPermitted,
        other => Error::System { what: "cannot open a packet socket", source: other.into() },
    })
}

/// Types that a socket option may have: plain integers of fixed layout, valid for any bytes.
///
/// # Safety
/// Every bit pattern is a value, and there is no padding.
pub(super) unsafe trait Plain: Copy {}
// SAFETY: integers.
unsafe impl Plain for c_int {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: seven 32-bit integers.
unsafe impl Plain for libc::tpacket_req3 {}
// SAFETY: three 32-bit integers.
unsafe impl Plain for libc::tpacket_stats_v3 {}
// SAFETY: an integer, two of half its size, eight bytes: 16 bytes without a gap.
unsafe impl Plain for libc::packet_mreq {}

/// Sets an option.
pub(super) fn set<T: Plain>(
    socket: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: &T,
    what: &'static str,
) -> Result<(), Error> {
    let length = size_of::<T>() as libc::socklen_t;
    let value: *const T = value;
    // SAFETY: the kernel reads `length` bytes at `value`, which are a `T`, and keeps no pointer.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.cast(), length) };
    check(result, what)
}

/// Reads an option into `value`, which also tells the kernel how long it may be.
pub(super) fn get<T: Plain>(
    socket: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    mut value: T,
    what: &'static str,
) -> Result<T, Error> {
    let mut length = size_of::<T>() as libc::socklen_t;
    let place: *mut T = &mut value;
    // SAFETY: the kernel writes at most `length` bytes at `place`, and any bytes are a `T`.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, place.cast::<c_void>(), &mut length) };
    check(result, what).map(|()| value)
}

/// Lets only those frames in that the program accepts, cut to what it returns.
pub(super) fn attach(socket: BorrowedFd<'_>, program: &[Instruction]) -> Result<(), Error> {
    let mut program: Vec<_> = program
        .iter()
        .map(|&Instruction { code, jt, jf, k }| libc::sock_filter { code, jt, jf, k })
        .collect();
    let length = u16::try_from(program.len()).unwrap_or(u16::MAX);
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    let place: *const libc::sock_fprog = &program;
    // SAFETY: `program.filter` points at no fewer than `len` instructions; the kernel copies and verifies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            place.cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    check(result, "cannot attach a filter")
}

/// Binds to one interface, or to all of them with index 0, and to every protocol; reception starts.
pub(super) fn bind(socket: BorrowedFd<'_>, interface: u32) -> Result<(), Error> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: interface as c_int,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let place: *const libc::sockaddr_ll = &address;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes at `place`, which are a socket address.
    let result = unsafe { libc::bind(socket.as_raw_fd(), place.cast(), length) };
    check(result, "cannot bind to the interface")
}

/// What an interface request answers with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Query {
    /// `SIOCGIFFLAGS`: its `IFF_` flags.
    Flags,
    /// `SIOCGIFHWADDR`: its `ARPHRD_` number.
    Hardware,
}

/// Asks for a property of the interface of this name.
pub(super) fn query(socket: BorrowedFd<'_>, name: &str, query: Query) -> io::Result<u16> {
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_ifindex: 0 },
    };
    // The last byte stays zero.
    for (place, byte) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    let number = match query {
        Query::Flags => libc::SIOCGIFFLAGS,
        Query::Hardware => libc::SIOCGIFHWADDR,
    };
    let place: *mut libc::ifreq = &mut request;
    // SAFETY: both requests read the name and write an `ifreq`.
    if unsafe { libc::ioctl(socket.as_raw_fd(), number as _, place) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(match query {
        // SAFETY: the kernel has written this field of the union; any bytes are an integer.
        Query::Flags => unsafe { request.ifr_ifru.ifru_flags as u16 },
        // SAFETY: likewise.
        Query::Hardware => unsafe { request.ifr_ifru.ifru_hwaddr.sa_family },
    })
}

fn check(result: c_int, what: &'static str) -> Result<(), Error> {
    if result == 0 { Ok(()) } else { Err(Error::System { what, source: io::Error::last_os_error() }) }
}
