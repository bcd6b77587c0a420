import Testing

@testable import ConfigFetch

@Suite struct AdmissionTests {
    private func admission(_ lately: Int, toOneHost: Int, long: Int = 0, suspect: Int = 0) -> Admission<Int> {
        Admission(Admission.Room(lately: lately, toOneHost: toOneHost, long: long, suspect: suspect))
    }

    @Test("No more at once than may be, in all and to one host")
    func keepsToItsLimits() throws {
        var admission = admission(5, toOneHost: 2)
        for number in 0..<10 { admission.wait(number, for: "a") }
        for number in 10..<20 { admission.wait(number, for: "b") }
        for number in 20..<30 { admission.wait(number, for: "c") }
        var out: [String] = []
        var slots: [String: Admission<Int>.Slot] = [:]
        while let (_, slot) = admission.next() {
            out.append(slot.host)
            slots[slot.host] = slot
        }
        #expect(out == ["a", "b", "c", "a", "b"])
        #expect(admission.underWay == 5)
        #expect(!admission.isReady)
        admission.comeBack(try #require(slots["b"]))
        #expect(admission.isReady)
        #expect(admission.next()?.slot.host == "c")
        #expect(admission.next() == nil)
    }

    @Test("A host that never answers keeps nobody waiting but its own")
    func slowHostHoldsNobodyUp() {
        var admission = admission(4, toOneHost: 2)
        for number in 0..<100 { admission.wait(number, for: "slow") }
        for number in 100..<200 { admission.wait(number, for: "quick") }
        var answered: [Int] = []
        while let (number, slot) = admission.next() {
            guard slot.host == "quick" else { continue }
            answered.append(number)
            admission.comeBack(slot)
        }
        #expect(answered == Array(100..<200))
        #expect(admission.underWay == 2)
    }

    @Test("First come, first served at one host; everybody sets out once")
    func servesInOrder() {
        var admission = admission(3, toOneHost: 3)
        var random = SystemRandomNumberGenerator()
        var waiting = 0
        var out: [String: [Int]] = [:]
        var underWay: [Admission<Int>.Slot] = []
        for _ in 0..<2_000 {
            if Bool.random(using: &random) {
                admission.wait(waiting, for: "host\(waiting % 7)")
                waiting += 1
            } else if let (number, slot) = admission.next() {
                out[slot.host, default: []].append(number)
                underWay.append(slot)
            } else if let slot = underWay.popLast() {
                admission.comeBack(slot)
            }
            #expect(admission.underWay == underWay.count && underWay.count <= 3)
        }
        // Ends: each turn of it lets one go.
        while true {
            if let (number, slot) = admission.next() {
                out[slot.host, default: []].append(number)
                underWay.append(slot)
            } else if let slot = underWay.popLast() {
                admission.comeBack(slot)
            } else {
                break
            }
        }
        #expect(out.values.map(\.count).reduce(0, +) == waiting)
        for numbers in out.values { #expect(numbers == numbers.sorted()) }
    }

    @Test("Who has left does not set out, and the next in line does")
    func letsGo() throws {
        var admission = admission(1, toOneHost: 1)
        admission.wait(1, for: "a")
        admission.wait(2, for: "a")
        admission.wait(3, for: "b")
        admission.remove(for: "a") { _ in true }
        let next = admission.next()
        let third = try #require(next)
        #expect(third.item == 3)
        #expect(admission.next() == nil)
        admission.comeBack(third.slot)
        #expect(admission.next() == nil)
        admission.wait(4, for: "a")
        let last = admission.next()
        let fourth = try #require(last)
        #expect(fourth.item == 4)
        admission.comeBack(fourth.slot)
        #expect(admission.underWay == 0)
    }

    @Test("However many hosts have failed last, they take only their share, and others none of it")
    func suspectsShare() {
        var admission = admission(4, toOneHost: 4, suspect: 2)
        for number in 0..<100 {
            admission.setSuspect(true, "dead\(number)")
            admission.wait(number, for: "dead\(number)")
        }
        var dead: [Admission<Int>.Slot] = []
        while let (_, slot) = admission.next() { dead.append(slot) }
        #expect(dead.count == 2)
        for number in 0..<10 { admission.wait(number, for: "well") }
        var well: [Admission<Int>.Slot] = []
        while let (_, slot) = admission.next() { well.append(slot) }
        #expect(well.map(\.host) == Array(repeating: "well", count: 4))
        // One that answers again stands where it belongs, also when it stood in line already.
        for number in 0..<100 { admission.setSuspect(false, "dead\(number)") }
        #expect(!admission.isReady)
        well.forEach { admission.comeBack($0) }
        var out = 0
        while let next = admission.next() {
            out += 1
            admission.comeBack(next.slot)
        }
        #expect(out == 98 + 6)
        dead.forEach { admission.comeBack($0) }
        #expect(admission.underWay == 0)
    }

    @Test("Whoever has been under way for long makes room for another, as long as there are not too many of those")
    func longMakesRoom() {
        var admission = admission(2, toOneHost: 2, long: 3)
        for number in 0..<10 {
            admission.wait(number, for: "slow\(number)")
            admission.wait(number, for: "files")
        }
        #expect(!admission.isHeldUp(atHost: "files"))
        var out: [Admission<Int>.Slot] = []
        func setOut() { while let (_, slot) = admission.next() { out.append(slot) } }
        setOut()
        #expect(out.map(\.host) == ["slow0", "files"])
        #expect(admission.isHeldUp(atHost: "files"))
        for index in out.indices { admission.makeRoom(&out[index], atHost: out[index].host == "files") }
        setOut()
        #expect(out.count == 4)
        // One more is long, and then nobody.
        for index in out.indices { admission.makeRoom(&out[index], atHost: out[index].host == "files") }
        setOut()
        #expect(out.count == 5)
        #expect(admission.underWay == 5)
        for index in out.indices { admission.makeRoom(&out[index], atHost: out[index].host == "files") }
        setOut()
        #expect(out.count == 5)
        // Each gives back what it takes up.
        while !out.isEmpty {
            admission.comeBack(out.removeLast())
            setOut()
            #expect(admission.underWay == out.count)
        }
        #expect(!admission.isHeldUp(atHost: "files") && !admission.isReady)
    }
}
