import Foundation

/// Shapes of a picture that reads well on light and dark pages alike: it brings its own background.
public enum SVG {
    public static let colors = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#97bbf5"]

    public static func rounded(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;")
    }

    public static func text(
        _ x: Double,
        _ y: Double,
        _ content: String,
        size: Int,
        anchor: String = "start",
        color: String = "#24292f",
        weight: Int = 400
    ) -> String {
        "<text x=\"\(rounded(x))\" y=\"\(rounded(y))\" font-size=\"\(size)\" font-weight=\"\(weight)\" text-anchor=\"\(anchor)\" fill=\"\(color)\">\(escaped(content))</text>"
    }

    public static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ color: String) -> String {
        "<line x1=\"\(rounded(x1))\" y1=\"\(rounded(y1))\" x2=\"\(rounded(x2))\" y2=\"\(rounded(y2))\" stroke=\"\(color)\"/>"
    }

    public static func page(
        width: Double,
        height: Double,
        title: String,
        _ subtitle: String,
        _ shapes: [String]
    ) -> String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" width="\(rounded(width))" height="\(rounded(height))" \
        viewBox="0 0 \(rounded(width)) \(rounded(height))" font-family="system-ui, sans-serif" role="img">
        <title>\(escaped(title))</title>
        <rect width="100%" height="100%" fill="#ffffff"/>
        \(text(20, 24, title, size: 17, weight: 700))
        \(text(20, 42, subtitle, size: 12, color: "#57606a"))
        \(shapes.joined(separator: "\n"))
        </svg>

        """
    }
}
