/// Rows in aligned columns, each row followed by lines of its own.
struct Table {
    struct Cell {
        var text: String
        var tone: TextStyle.Tone?
        var isNumber = false

        init(_ text: String, tone: TextStyle.Tone? = nil) {
            self.text = Printable.clean(text)
            self.tone = tone
        }

        /// Aligned at the right.
        static func number(_ text: String) -> Cell {
            var cell = Cell(text)
            cell.isNumber = true
            return cell
        }
    }

    let headings: [String]
    private var rows: [(cells: [Cell], notes: [String])] = []

    init(headings: [String]) {
        self.headings = headings
    }

    /// - Parameter notes: lines that follow the row as they are.
    mutating func add(_ cells: [Cell], notes: [String] = []) {
        rows.append((cells, notes))
    }

    func lines(_ style: TextStyle) -> [String] {
        var widths = headings.map(\.count)
        for row in rows {
            for (column, cell) in row.cells.enumerated() { widths[column] = max(widths[column], cell.text.count) }
        }
        let top = headings.enumerated().map { column, heading in
            var cell = rows.first?.cells[column] ?? Cell("")
            cell.text = heading
            cell.tone = .heading
            return cell
        }
        return [line(top, widths, style)] + rows.flatMap { [line($0.cells, widths, style)] + $0.notes }
    }

    private func line(_ cells: [Cell], _ widths: [Int], _ style: TextStyle) -> String {
        var line = ""
        for (column, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: widths[column] - cell.text.count)
            let painted = style.paint(cell.text, cell.tone)
            if column > 0 { line += "  " }
            let isLast = column == cells.count - 1
            line += cell.isNumber ? padding + painted : painted + (isLast ? "" : padding)
        }
        return line
    }
}
