import Testing

@testable import ConfigFetch

@Suite struct AdmissionTests {
    @Test("No more at once than may be, in all and to one host")
    func keepsToItsLimits() {
        var admission = Admission<Int>(inAll: 5, toOneHost: 2)
        for number in 0..<10 { admission.wait(number, for: "a") }
        for number in 10..<20 { admission.wait(number, for: "b") }
        for number in 20..<30 { admission.wait(number, for: "c") }
        var out: [String] = []
        while let (_, host) = admission.next() { out.append(host) }
        #expect(out == ["a", "b", "c", "a", "b"])
        #expect(admission.underWay == 5)
        #expect(!admission.isReady)
        admission.comeBack(from: "b")
        #expect(admission.isReady)
        #expect(admission.next()?.host == "c")
        #expect(admission.next() == nil)
    }

    @Test("A host that never answers keeps nobody waiting but its own")
    func slowHostHoldsNobodyUp() {
        var admission = Admission<Int>(inAll: 4, toOneHost: 2)
        for number in 0..<100 { admission.wait(number, for: "slow") }
        for number in 100..<200 { admission.wait(number, for: "quick") }
        var answered: [Int] = []
        while let (number, host) = admission.next() {
            guard host == "quick" else { continue }
            answered.append(number)
            admission.comeBack(from: host)
        }
        #expect(answered == Array(100..<200))
        #expect(admission.underWay == 2)
    }

    @Test("First come, first served at one host; everybody sets out once")
    func servesInOrder() {
        var admission = Admission<Int>(inAll: 3, toOneHost: 3)
        var random = SystemRandomNumberGenerator()
        var waiting = 0
        var out: [String: [Int]] = [:]
        var underWay: [String] = []
        for _ in 0..<2_000 {
            if Bool.random(using: &random) {
                admission.wait(waiting, for: "host\(waiting % 7)")
                waiting += 1
            } else if let (number, host) = admission.next() {
                out[host, default: []].append(number)
                underWay.append(host)
            } else if let host = underWay.popLast() {
                admission.comeBack(from: host)
            }
            #expect(admission.underWay == underWay.count && underWay.count <= 3)
        }
        // Ends: each turn of it lets one go.
        while true {
            if let (number, host) = admission.next() {
                out[host, default: []].append(number)
                underWay.append(host)
            } else if let host = underWay.popLast() {
                admission.comeBack(from: host)
            } else {
                break
            }
        }
        #expect(out.values.map(\.count).reduce(0, +) == waiting)
        for numbers in out.values { #expect(numbers == numbers.sorted()) }
    }

    @Test("Who has left does not set out, and the next in line does")
    func letsGo() {
        var admission = Admission<Int>(inAll: 1, toOneHost: 1)
        admission.wait(1, for: "a")
        admission.wait(2, for: "a")
        admission.wait(3, for: "b")
        admission.remove(for: "a") { _ in true }
        #expect(admission.next()?.item == 3)
        #expect(admission.next() == nil)
        admission.comeBack(from: "b")
        #expect(admission.next() == nil)
        admission.wait(4, for: "a")
        #expect(admission.next()?.item == 4)
        admission.comeBack(from: "a")
        // Once more than it went: nothing is owed.
        admission.comeBack(from: "a")
        #expect(admission.underWay == 0)
    }
}
