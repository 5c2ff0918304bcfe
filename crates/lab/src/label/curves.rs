//! Learning curves as one SVG picture: families found and quality against labels, a line with its interval per strategy.

use std::fmt::Write;

use super::compare::{Mean, Point, Summary};

/// Colours that people with any colour vision tell apart (Okabe and Ito 2008), then greys.
const COLOURS: &[&str] = &[
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a8a00", "#7a3e9d",
    "#7f7f7f", "#b03060",
];
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 340.0;
/// Room on the left, above, on the right and below the curves of a panel.
const MARGINS: [f64; 4] = [52.0, 34.0, 14.0, 42.0];
const LEGEND: f64 = 30.0;
const GRID_LINES: usize = 5;

type Value = fn(&Point) -> Option<Mean>;

/// What the panels show.
const PANELS: [(&str, Value); 4] = [
    ("malicious families found", |point| point.malicious_families),
    ("benign families found", |point| point.benign_families),
    ("ROC AUC on validation rows", |point| point.auc),
    ("F1 on validation rows", |point| point.f1),
];

/// The picture.
pub(crate) fn svg(summaries: &[Summary]) -> String {
    let (width, height) = (2.0 * WIDTH, 2.0 * HEIGHT + LEGEND * summaries.len().div_ceil(6) as f64);
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
    );
    for (place, (title, value)) in PANELS.iter().enumerate() {
        let (x, y) = ((place % 2) as f64 * WIDTH, (place / 2) as f64 * HEIGHT);
        let _ = write!(svg, "<g transform=\"translate({x},{y})\">");
        panel(&mut svg, title, *value, summaries);
        svg.push_str("</g>");
    }
    legend(&mut svg, summaries);
    svg.push_str("</svg>\n");
    svg
}

/// Where values of a panel are on paper.
struct Scale {
    labels: f64,
    low: f64,
    high: f64,
}

impl Scale {
    fn of(value: Value, summaries: &[Summary]) -> Self {
        let points = || summaries.iter().flat_map(|summary| &summary.points);
        let bounds = points().filter_map(|point| {
            let Mean { mean, half_width } = value(point)?;
            Some((mean - half_width, mean + half_width))
        });
        let (low, high) =
            bounds.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (a, b)| (low.min(a), high.max(b)));
        let (low, high) = if low < high { (low, high) } else { (0.0, 1.0) };
        let step = step((high - low) / GRID_LINES as f64);
        let labels = points().map(|point| point.labels).max().unwrap_or(1).max(1) as f64;
        Self { labels, low: (low / step).floor() * step, high: (high / step).ceil() * step }
    }

    fn x(&self, labels: f64) -> f64 {
        MARGINS[0] + labels / self.labels * (WIDTH - MARGINS[0] - MARGINS[2])
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - MARGINS[3] - share * (HEIGHT - MARGINS[1] - MARGINS[3])
    }
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * 0.999)
        .unwrap_or(power)
}

fn panel(svg: &mut String, title: &str, value: Value, summaries: &[Summary]) {
    let scale = Scale::of(value, summaries);
    axes(svg, title, &scale);
    for (place, summary) in summaries.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let points: Vec<(f64, Mean)> =
            summary.points.iter().filter_map(|point| Some((point.labels as f64, value(point)?))).collect();
        let at = |labels: f64, value: f64| format!("{:.1},{:.1} ", scale.x(labels), scale.y(value));
        let above = points.iter().map(|(labels, mean)| at(*labels, mean.mean + mean.half_width));
        let below = points.iter().rev().map(|(labels, mean)| at(*labels, mean.mean - mean.half_width));
        let band: String = above.chain(below).collect();
        let line: String = points.iter().map(|(labels, mean)| at(*labels, mean.mean)).collect();
        let _ = write!(
            svg,
            "<polygon points=\"{band}\" fill=\"{colour}\" fill-opacity=\"0.12\"/>\
             <polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>"
        );
    }
}

fn axes(svg: &mut String, title: &str, scale: &Scale) {
    let (left, right) = (MARGINS[0], WIDTH - MARGINS[2]);
    let bottom = HEIGHT - MARGINS[3];
    let _ = write!(svg, "<text x=\"{left}\" y=\"20\" font-weight=\"bold\">{title}</text>");
    let step_y = step((scale.high - scale.low) / GRID_LINES as f64);
    let digits = (-step_y.log10().floor()).max(0.0) as usize;
    for line in 0..=((scale.high - scale.low) / step_y).round() as usize {
        let value = scale.low + line as f64 * step_y;
        let y = scale.y(value);
        let _ = write!(
            svg,
            "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.digits$}</text>",
            left - 6.0,
            y + 4.0
        );
    }
    let step_x = step(scale.labels / GRID_LINES as f64);
    for line in 0..=(scale.labels / step_x).floor() as usize {
        let labels = line as f64 * step_x;
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{labels}</text>",
            scale.x(labels),
            bottom + 16.0
        );
    }
    let _ = write!(
        svg,
        "<line x1=\"{left}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\" stroke=\"#444444\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">labels</text>",
        f64::midpoint(left, right),
        bottom + 32.0
    );
}

fn legend(svg: &mut String, summaries: &[Summary]) {
    for (place, summary) in summaries.iter().enumerate() {
        let (x, y) =
            (MARGINS[0] + (place % 6) as f64 * 165.0, 2.0 * HEIGHT + LEGEND * (place / 6) as f64 + 12.0);
        let colour = COLOURS[place % COLOURS.len()];
        let _ = write!(
            svg,
            "<line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"3\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            x + 24.0,
            x + 30.0,
            y + 4.0,
            summary.strategy
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_holds_a_line_per_strategy_and_panel_within_its_frame() {
        let mean = |value: f64| Some(Mean { mean: value, half_width: 0.01 });
        let point = |labels: u64| Point {
            labels,
            malicious_families: mean(labels as f64 / 100.0),
            benign_families: mean(3.0),
            auc: mean(0.9),
            f1: None,
            detection: None,
            seconds: None,
            seconds_to_first: None,
        };
        let summary = |name: &str| Summary {
            strategy: name.to_owned(),
            seeds: 2,
            points: vec![point(20), point(120), point(1020)],
            found_common: 1.0,
        };
        let svg = svg(&[summary("ilab"), summary("random")]);
        assert_eq!(svg.matches("<polyline").count(), 8);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && svg.contains("random"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert_eq!((step(0.03), step(0.21), step(2.0)), (0.05, 0.5, 2.0));
    }
}
