internal import Glibc

/// How many processors there are to spread over.
enum ProcessorCount {
    /// The smallest power of two that is not below the number of processors online now, at least 1, at most `limit`.
    ///
    /// - Parameter limit: a power of two.
    static func powerOfTwo(atMost limit: Int) -> Int {
        let online = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        return powerOfTwo(atLeast: online, atMost: limit)
    }

    /// The smallest power of two that is not below `count`, at least 1, at most `limit`, itself a power of two.
    static func powerOfTwo(atLeast count: Int, atMost limit: Int) -> Int {
        var power = 1
        while power < count && power < limit { power *= 2 }
        return power
    }
}
