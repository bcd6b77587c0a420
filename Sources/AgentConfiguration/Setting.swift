internal import ConfigDecode
internal import ConfigSnapshot

/// A value in the agent's configuration, with its name and the place where it was written: the files as one tree.
struct Setting {
    struct Place {
        var file: String
        var position: Position
    }

    enum Value {
        case scalar(Scalar)
        case list([Setting])
        /// In the order in which they were written, no name twice.
        case section([Setting])
    }

    /// The names from the root down to this value's own; a list's items have the list's.
    var path: [String]
    /// Where its name stands; for a list's item, the item.
    var namePlace: Place
    var place: Place
    var value: Value

    var name: String { path.last ?? "" }
    var key: String { DottedKey.join(path) }

    init(_ node: DocumentNode, file: String) {
        self.init(node, file: file, path: [], namePosition: node.position)
    }

    private init(_ node: DocumentNode, file: String, path: [String], namePosition: Position) {
        self.path = path
        self.namePlace = Place(file: file, position: namePosition)
        self.place = Place(file: file, position: node.position)
        switch node.kind {
        case .scalar(let scalar): value = .scalar(scalar)
        case .sequence(let items):
            value = .list(items.map { Setting($0, file: file, path: path, namePosition: $0.position) })
        case .mapping(let members):
            value = .section(
                members.map {
                    Setting($0.node, file: file, path: path + [$0.name], namePosition: $0.namePosition)
                }
            )
        }
    }

    /// Itself, as it would stand in a document.
    var node: DocumentNode {
        let kind: DocumentNode.Kind =
            switch value {
            case .scalar(let scalar): .scalar(scalar)
            case .list(let items): .sequence(items.map(\.node))
            case .section(let members):
                .mapping(
                    members.map {
                        .init(name: $0.name, namePosition: $0.namePlace.position, node: $0.node)
                    }
                )
            }
        return DocumentNode(kind: kind, position: place.position)
    }

    /// The root of a file that says nothing.
    static func empty(file: String) -> Setting {
        Setting(DocumentNode(kind: .mapping([]), position: Position(line: 1, column: 1)), file: file)
    }

    /// `later` laid over this: sections are merged name by name, everything else is replaced.
    func merged(with later: Setting) -> Setting {
        guard case .section(var members) = value, case .section(let additions) = later.value else { return later }
        for addition in additions {
            if let index = members.firstIndex(where: { $0.name == addition.name }) {
                members[index] = members[index].merged(with: addition)
            } else {
                members.append(addition)
            }
        }
        var merged = self
        merged.value = .section(members)
        return merged
    }
}
