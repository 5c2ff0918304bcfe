//! A person at a terminal who answers the questions of `cormorant label --terminal`, line by line, by keyboard alone.

use std::io::{self, BufRead};

use cormorant_lab::tasks::annotate::{Act, Annotation, Expert, Question, Suggestion};

use crate::terminal::{self, Grid, Look, Page, Tone, span};
use crate::units::count;

/// Reads lines from standard input and shows questions on standard output.
pub(super) struct Person;

const KEYS: &str = "m FAMILY malicious, b FAMILY benign, enter as suggested, s skip, u undo, q quit";

impl Expert for Person {
    fn ask(&mut self, question: &Question) -> Act {
        let mut page = Page::new(Look::of_stdout());
        draw(&mut page, question);
        show(page);
        loop {
            let mut line = String::new();
            match io::stdin().lock().read_line(&mut line) {
                Ok(0) | Err(_) => return Act::Quit,
                Ok(_) => {}
            }
            match act(&line, question.query.shown()) {
                Ok(act) => return act,
                Err(what) => self.tell(what),
            }
        }
    }

    fn tell(&mut self, text: &str) {
        let mut page = Page::new(Look::of_stdout());
        page.prose(2, Tone::Warn, text);
        page.prose(2, Tone::Faint, KEYS);
        show(page);
    }
}

/// There is nobody to tell when standard output is gone.
fn show(page: Page) {
    let _ = terminal::print(&page.into_text());
}

/// What a line asks for. A label without a family takes the suggested one where the label is the suggested one too.
fn act(line: &str, shown: Option<&Suggestion>) -> Result<Act, &'static str> {
    let (key, family) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let label = |malicious: bool| {
        let suggested = shown.filter(|one| one.malicious == malicious).and_then(|one| one.family.as_deref());
        let family = if family.trim().is_empty() { suggested.unwrap_or_default() } else { family };
        Ok(Act::Answer(Annotation::new(malicious, family)))
    };
    match key {
        "m" => label(true),
        "b" => label(false),
        "" => match shown {
            Some(Suggestion { malicious, family, .. }) => {
                Ok(Act::Answer(Annotation::new(*malicious, family.as_deref().unwrap_or_default())))
            }
            None => Err("nothing is suggested for this row"),
        },
        "s" => Ok(Act::Skip),
        "u" => Ok(Act::Undo),
        "q" => Ok(Act::Quit),
        _ => Err("that is none of the keys"),
    }
}

fn draw(page: &mut Page, question: &Question) {
    let Question { query, place, iteration, left, .. } = question;
    page.heading(format!(
        "Iteration {iteration}, {} row {} of {}; {} answers left",
        query.group.name(),
        place.0,
        place.1,
        count(*left)
    ));
    let named: Vec<String> = question
        .identity
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    page.prose(
        2,
        Tone::Strong,
        &if named.is_empty() { format!("row {}", query.row + 1) } else { named.join(", ") },
    );
    page.prose(2, Tone::Faint, &format!("Asked because: {}.", query.reason));
    let mut grid = Grid::new(&["feature", ">value", "speaks for"]);
    for (feature, value, adds) in &question.reasons {
        let speaks = match adds {
            Some(adds) if *adds > 0.0 => span(Tone::Bad, format!("malicious {adds:+.2}")),
            Some(adds) if *adds < 0.0 => span(Tone::Good, format!("benign {adds:+.2}")),
            _ => "".into(),
        };
        grid.row([feature.clone().into(), value.clone().into(), speaks]);
    }
    page.grid(&grid);
    if !question.families.is_empty() {
        let known: Vec<String> = question
            .families
            .iter()
            .map(|one| format!("{} {}", if one.malicious { "m" } else { "b" }, one.family))
            .collect();
        page.prose(2, Tone::Faint, &format!("Families so far: {}", known.join(", ")));
    }
    if let Some(Suggestion { malicious, family, .. }) = query.shown() {
        let label = if *malicious { "malicious" } else { "benign" };
        let family = family.as_deref().map_or_else(String::new, |family| format!(", {family}"));
        page.prose(2, Tone::Strong, &format!("Suggested: {label}{family}"));
    }
    page.prose(2, Tone::Faint, KEYS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_acts() {
        let shown = Suggestion { malicious: true, family: Some("scan".to_owned()), confident: true };
        let answer = |malicious, family: &str| Ok(Act::Answer(Annotation::new(malicious, family)));
        assert_eq!(act("m smurf\n", None), answer(true, "smurf"));
        assert_eq!(act("m\n", Some(&shown)), answer(true, "scan"));
        assert_eq!(act("b\n", Some(&shown)), answer(false, "other"));
        assert_eq!(act("\n", Some(&shown)), answer(true, "scan"));
        assert!(act("\n", None).is_err() && act("x\n", None).is_err());
        assert_eq!(
            (act(" s ", None), act("u\n", None), act("q", None)),
            (Ok(Act::Skip), Ok(Act::Undo), Ok(Act::Quit))
        );
    }
}
