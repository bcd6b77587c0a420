internal import Glibc

extension AgentConfiguration {
    /// The sources that nobody can read on this host: one sentence each. Another host may know the group.
    public var unknownReaders: [String] {
        sources.compactMap { source in
            // SAFETY: only whether there is an entry is looked at.
            guard let group = source.readers, getgrnam(group) == nil else { return nil }
            return "sources.\(source.name).readers: there is no group '\(group)' on this host: nobody can read it"
        }
    }
}
