import BenchKit
import Foundation

/// Results as SVG that reads well on light and dark pages alike: it brings its own background.
enum Pictures {
    private static let colors = SVG.colors

    // MARK: The ladder, rung by rung, beside the best of the others

    private struct Bar {
        let label: String
        let ns: Double
        let isOurs: Bool
    }

    private static let duels: [(title: String, measure: String, threads: Int, ours: [String], theirs: [String])] = [
        (
            "snapshot read", "snapshot-read quiet", 2, ["ladder, reader handle", "ladder, implicit"],
            ["C acquire load", "arc-swap Cache", "liburcu memb", "arc-swap load", "libstdc++ atomic<shared_ptr>"]
        ),
        ("mutex", "mutex tight", 2, ["ladder"], ["pthread", "parking_lot", "Go", "Synchronization.Mutex"]),
        (
            "read lock", "rw-read quiet", 2, ["ladder, reader handle", "ladder, implicit"],
            ["pthread", "parking_lot", "Go"]
        ),
        ("key in 256", "key 256 keys", 1, ["ladder, String"], ["Go map", "Rust HashMap", "Swift Dictionary"]),
        (
            "single-flight", "flight-alone", 1, ["ladder, threads", "ladder, async"],
            ["Go x/sync singleflight", "Rust Mutex + Condvar"]
        ),
    ]

    static func ladder(_ results: Results) -> String {
        let groups = duels.map { duel -> (title: String, bars: [Bar]) in
            let rows = results.rows.filter { $0.case == duel.measure && $0.threads == duel.threads }
            func bars(_ labels: [String], isOurs: Bool) -> [Bar] {
                labels.compactMap { label in
                    rows.first { $0.subject == label }?.ns.map { Bar(label: label, ns: $0, isOurs: isOurs) }
                }
            }
            let threads = duel.threads == 1 ? "1 thread" : "\(duel.threads) threads"
            let all = bars(duel.ours, isOurs: true) + bars(duel.theirs, isOurs: false)
            return ("\(duel.title), \(threads)", all.sorted { $0.ns < $1.ns })
        }.filter { !$0.bars.isEmpty }
        let longest = groups.flatMap(\.bars).map(\.ns).max() ?? 1
        let scale = Scale(from: 0.1, to: longest * 1.5, start: 250, end: 800)
        var shapes: [String] = []
        var y = 58.0
        for group in groups {
            shapes.append(SVG.text(20, y + 4, group.title, size: 14, weight: 600))
            y += 18
            for bar in group.bars {
                let width = max(2, scale.place(bar.ns) - scale.start)
                shapes.append(SVG.text(242, y + 10, bar.label, size: 12, anchor: "end"))
                shapes.append(
                    "<rect x=\"\(scale.start)\" y=\"\(y)\" width=\"\(SVG.rounded(width))\" height=\"13\" rx=\"2\" fill=\"\(bar.isOurs ? colors[0] : "#b8bcc4")\"/>"
                )
                shapes.append(SVG.text(scale.start + width + 6, y + 10, Tables.time(bar.ns), size: 12))
                y += 18
            }
            y += 16
        }
        let subtitle = "nanoseconds per operation and thread, logarithmic · \(caption(results.machine))"
        return SVG.page(width: 900, height: y + 8, title: "The ladder (blue) beside the others", subtitle, shapes)
    }

    // MARK: Time over the number of threads

    static func growth(_ results: Results) -> String {
        let curves = results.growth
        let all = curves.flatMap(\.ns).filter { $0 > 0 }
        let x = Scale(from: 1, to: 64, start: 80, end: 690)
        let y = Scale(from: (all.min() ?? 0.1) / 1.5, to: (all.max() ?? 1) * 1.5, start: 440, end: 60)
        var shapes: [String] = []
        for count in Plan.growthThreads {
            let place = x.place(Double(count))
            shapes.append(SVG.line(place, 60, place, 440, "#e4e6ea"))
            shapes.append(SVG.text(place, 458, "\(count)", size: 12, anchor: "middle"))
        }
        for power in -2...7 {
            let value = Foundation.pow(10, Double(power))
            guard value >= y.from, value <= y.to else { continue }
            shapes.append(SVG.line(80, y.place(value), 690, y.place(value), "#e4e6ea"))
            shapes.append(SVG.text(72, y.place(value) + 4, Tables.time(value), size: 12, anchor: "end"))
        }
        shapes.append(SVG.text(385, 480, "threads", size: 12, anchor: "middle"))
        // Labels beside the ends of their curves, none upon another.
        var lastLabel = Double.infinity
        for (index, curve) in curves.enumerated().sorted(by: { ($0.element.ns.last ?? 0) < ($1.element.ns.last ?? 0) })
        {
            let color = colors[index % colors.count]
            let points = zip(curve.threads, curve.ns).map {
                "\(SVG.rounded(x.place(Double($0)))),\(SVG.rounded(y.place($1)))"
            }
            shapes.append(
                "<polyline points=\"\(points.joined(separator: " "))\" fill=\"none\" stroke=\"\(color)\" stroke-width=\"2\"/>"
            )
            let end = min(y.place(curve.ns.last ?? 1) + 4, lastLabel - 16)
            lastLabel = end
            shapes.append(SVG.text(698, end, curve.rung, size: 12, color: color, weight: 600))
        }
        let subtitle = "nanoseconds per operation and thread, both axes logarithmic · \(caption(results.machine))"
        return SVG.page(width: 860, height: 492, title: "More threads than processors", subtitle, shapes)
    }

    // MARK: Shapes

    /// A logarithmic axis.
    private struct Scale {
        let from: Double
        let to: Double
        let start: Double
        let end: Double

        func place(_ value: Double) -> Double {
            let share = Foundation.log(max(value, from) / from) / Foundation.log(to / from)
            return start + (end - start) * share
        }
    }

    private static func caption(_ machine: Machine) -> String {
        "\(machine.processors) processors, \(machine.processor)"
    }
}
