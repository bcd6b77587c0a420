public import ConfigSnapshot
internal import Glibc

extension Store {
    /// Copies what a trial needs to know of a state directory, and changes nothing there: the documents in use of some
    /// sources, the highest versions accepted, and what was accepted against rules. Nothing that an operator has in force.
    ///
    /// - Returns: whether there was anything.
    public static func copyForTrial(
        of sources: [SourceName],
        from directory: String,
        to other: String
    ) throws(FileError) -> Bool {
        var found = false
        try FileIO.makeDirectory(other + "/documents")
        for name in sources.map({ "documents/\($0)" }) + versionsFiles + [quarantineFile] {
            let parts = name.split(separator: "/")
            do throws(FileError) {
                let bytes = try FileIO.read("\(directory)/\(name)", limit: StoredForm.largestFile)
                let place = parts.count > 1 ? "\(other)/\(parts[0])" : other
                try FileIO.replace(String(parts.last ?? ""), in: place, with: [bytes])
                found = true
            } catch {
                guard error.isMissing else { throw error }
            }
        }
        return found
    }

    /// Removes a state directory that was a copy, with all that a store has made there.
    public static func remove(_ directory: String) {
        for name in (try? FileIO.names(in: directory)) ?? [] {
            let path = "\(directory)/\(name)"
            if unlink(path) == 0 { continue }
            for file in (try? FileIO.names(in: path)) ?? [] { unlink("\(path)/\(file)") }
            rmdir(path)
        }
        rmdir(directory)
    }
}
