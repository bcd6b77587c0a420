/// Whether locks count their contention: decided when the library is built, by the package trait `ContentionAccounting`
/// (on unless it is disabled).
public enum Accounting {
    /// A constant to the optimiser: without the trait, what it guards is not there.
    @inlinable
    @inline(__always)
    public static var isCompiledIn: Bool {
        #if ContentionAccounting
            true
        #else
            false
        #endif
    }
}
