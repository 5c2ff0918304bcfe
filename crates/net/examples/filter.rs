//! Prints the program of a filter: `filter LINKTYPE EXPRESSION`, as `tcpdump -d` does.

// An example talks to its user.
#![allow(clippy::print_stdout)]

use cormorant_net::capture::LinkType;
use cormorant_net::filter::Filter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let link = arguments.next().ok_or("usage: filter LINKTYPE EXPRESSION")?.parse()?;
    let text = arguments.collect::<Vec<_>>().join(" ");
    println!("{}", Filter::compile(&text)?.program(LinkType(link))?);
    Ok(())
}
