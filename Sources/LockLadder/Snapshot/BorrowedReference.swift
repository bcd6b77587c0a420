/// Lends out an object by its address without retaining it.
///
/// The one place that relies on `_withUnsafeGuaranteedRef`: with `takeUnretainedValue` the compiler keeps a retain
/// and a release, and two readers of one object then fight over its reference count.
@inlinable
@inline(__always)
func withBorrowed<Object: AnyObject, Value, Failure: Error>(
    _ address: UInt,
    _ body: (borrowing Object) throws(Failure) -> Value
) throws(Failure) -> Value {
    // SAFETY: the caller guarantees that `address` is that of a living `Object` until `body` returns; it is never 0.
    let reference = unsafe Unmanaged<Object>.fromOpaque(UnsafeRawPointer(bitPattern: address).unsafelyUnwrapped)
    // The borrowing call cannot throw a typed error itself, so the error travels in a Result.
    let outcome: Result<Value, Failure> = unsafe reference._withUnsafeGuaranteedRef { object in
        do throws(Failure) { return .success(try body(object)) } catch { return .failure(error) }
    }
    return try outcome.get()
}
