import BenchKit
import Foundation

/// The soak over its time, a row for each figure.
enum Picture {
    private struct Curve: Sendable {
        let name: String
        let color: String
        let value: @Sendable (Sampler.Sample) -> Double?
    }

    private struct Row: Sendable {
        let title: String
        let unit: String
        let curves: [Curve]
        var height = 92.0
        /// The highest value that is drawn: a few that are far out would flatten all others.
        var clip: Double?
    }

    private static let left = 90.0
    private static let right = 900.0
    private static let colors = SVG.colors

    private static let rows = [
        Row(
            title: "Memory",
            unit: "MiB",
            curves: [
                Curve(name: "resident", color: colors[6]) { $0.resident },
                Curve(name: "anonymous", color: colors[0]) { $0.anonymous },
            ]
        ),
        Row(
            title: "Descriptors",
            unit: "",
            curves: [
                Curve(name: "descriptors", color: colors[0]) { $0.descriptors },
                Curve(name: "connections", color: colors[1]) { $0.connections },
            ]
        ),
        Row(
            title: "Threads, snapshots",
            unit: "",
            curves: [
                Curve(name: "threads", color: colors[0]) { $0.threads },
                Curve(name: "snapshots in memory", color: colors[2]) { $0.snapshots },
            ]
        ),
        Row(
            title: "Reads",
            unit: "/s",
            curves: [
                Curve(name: "reads", color: colors[4]) { $0.readsPerSecond },
                Curve(name: "events to watchers", color: colors[5]) { $0.eventsPerSecond },
            ]
        ),
        Row(
            title: "From change to reader",
            unit: "ms",
            curves: [
                Curve(name: "polled each second", color: colors[1]) { $0.polledLatency },
                Curve(name: "watched file", color: colors[4]) { $0.watchedLatency },
            ],
            clip: 2_500
        ),
        Row(
            title: "Processor",
            unit: "%",
            curves: [Curve(name: "of one", color: colors[0]) { $0.processor }],
            height: 60
        ),
    ]

    static func draw(_ report: Report) -> String {
        let end = max(report.samples.last?.at ?? 1, report.seconds, 1)
        func x(_ seconds: Double) -> Double { left + (right - left) * min(max(seconds / end, 0), 1) }
        var shapes: [String] = []
        var y = 84.0
        let lanes = lanes(report, x, y)
        shapes += lanes.shapes
        y = lanes.bottom + 24
        let top = y
        for row in rows {
            shapes += draw(row, report.samples, x, y)
            y += row.height + 34
        }
        let bottom = y - 34
        shapes += times(end, x, bottom)
        for mark in report.ends {
            let color = mark.how == "killed" ? "#d1242f" : "#8250df"
            shapes.append(
                "<line x1=\"\(SVG.rounded(x(mark.at)))\" y1=\"\(top)\" x2=\"\(SVG.rounded(x(mark.at)))\" y2=\"\(bottom)\" "
                    + "stroke=\"\(color)\" stroke-opacity=\"0.35\"/>"
            )
        }
        let verdict = report.isGood ? "all promises kept, all flat" : "FAILED: \(report.findings.first ?? "")"
        let subtitle =
            "\(Int(report.seconds)) s on \(report.processors) processors, agentd \(report.version): \(verdict.prefix(110))"
        return SVG.page(width: 1_060, height: bottom + 44, title: "A soak of the agent", subtitle, shapes)
    }

    // MARK: What was done

    private static func lanes(_ report: Report, _ x: (Double) -> Double, _ top: Double) -> (
        shapes: [String], bottom: Double
    ) {
        var shapes = [SVG.text(left, top - 12, "Faults by source, verbs, restarts", size: 13, weight: 600)]
        var y = top
        func label(_ text: String) { shapes.append(SVG.text(left - 8, y + 9, text, size: 11, anchor: "end")) }
        for (index, source) in Set(report.faults.map(\.source)).sorted().enumerated() {
            label(source)
            for mark in report.faults where mark.source == source {
                let width = max(1, x(mark.to) - x(mark.from))
                shapes.append(
                    "<rect x=\"\(SVG.rounded(x(mark.from)))\" y=\"\(y)\" width=\"\(SVG.rounded(width))\" height=\"10\" "
                        + "fill=\"\(colors[index % colors.count])\" fill-opacity=\"0.7\"><title>\(mark.kind)</title></rect>"
                )
            }
            y += 14
        }
        func ticks(_ text: String, _ color: String, _ marks: [(at: Double, title: String)]) {
            label(text)
            for mark in marks {
                shapes.append(
                    "<rect x=\"\(SVG.rounded(x(mark.at)))\" y=\"\(y)\" width=\"1.2\" height=\"10\" fill=\"\(color)\">"
                        + "<title>\(mark.title)</title></rect>"
                )
            }
            y += 14
        }
        let changes: Set = ["pin", "unpin", "rollback", "freeze", "thaw", "accept", "reload"]
        ticks("commands", "#24292f", report.verbs.filter { changes.contains($0.verb) }.map { ($0.at, $0.verb) })
        ticks("questions", "#8c959f", report.verbs.filter { !changes.contains($0.verb) }.map { ($0.at, $0.verb) })
        ticks("killed", "#d1242f", report.ends.filter { $0.how == "killed" }.map { ($0.at, $0.how) })
        ticks("stopped", "#8250df", report.ends.filter { $0.how == "stopped" }.map { ($0.at, $0.how) })
        return (shapes, y)
    }

    // MARK: A row

    private static func draw(
        _ row: Row,
        _ samples: [Sampler.Sample],
        _ x: (Double) -> Double,
        _ top: Double
    ) -> [String] {
        let values = row.curves.flatMap { curve in samples.compactMap { curve.value($0) } }
        let most = max(1, min(row.clip ?? .infinity, values.max() ?? 1))
        let step = Self.step(most)
        let highest = (most / step).rounded(.up) * step
        func y(_ value: Double) -> Double { top + row.height * (1 - min(value, highest) / highest) }
        let title = row.title + (row.unit.isEmpty ? "" : ", \(row.unit)")
        var shapes = [SVG.text(left, top - 8, title, size: 13, weight: 600)]
        for number in 0...Int((highest / step).rounded()) {
            let value = Double(number) * step
            shapes.append(SVG.line(left, y(value), right, y(value), "#e4e6ea"))
            let text = step < 1 ? String(format: "%.1f", value) : "\(Int(value))"
            shapes.append(SVG.text(left - 8, y(value) + 4, text, size: 11, anchor: "end"))
        }
        for (index, curve) in row.curves.enumerated() {
            shapes.append(
                SVG.text(
                    right + 10,
                    top + 14 + Double(index) * 16,
                    curve.name,
                    size: 12,
                    color: curve.color,
                    weight: 600
                )
            )
            // A line ends with a life.
            for life in Set(samples.map(\.life)) {
                let points = samples.filter { $0.life == life }.compactMap { sample in
                    curve.value(sample).map { "\(SVG.rounded(x(sample.at))),\(SVG.rounded(y($0)))" }
                }
                shapes.append(
                    "<polyline points=\"\(points.joined(separator: " "))\" fill=\"none\" stroke=\"\(curve.color)\" "
                        + "stroke-width=\"1.3\"/>"
                )
            }
        }
        return shapes
    }

    /// A round number of which no more than four make up `most`.
    private static func step(_ most: Double) -> Double {
        let power = Foundation.pow(10, (Foundation.log10(most / 4)).rounded(.down))
        return [1, 2, 5, 10].map { $0 * power }.first { most / $0 <= 4 } ?? 10 * power
    }

    private static func times(_ end: Double, _ x: (Double) -> Double, _ bottom: Double) -> [String] {
        let steps: [Double] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 86_400]
        let step = steps.first { end / $0 <= 12 } ?? 86_400
        return stride(from: 0, through: end, by: step).map { seconds in
            let text = step < 60 ? "\(Int(seconds)) s" : "\(Int(seconds / 60)) min"
            return SVG.text(x(seconds), bottom + 20, text, size: 11, anchor: "middle")
        }
    }
}
