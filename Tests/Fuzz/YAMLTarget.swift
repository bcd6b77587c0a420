@testable import ConfigDecode
@testable import ConfigSnapshot

/// What YAML says, JSON can say; and what is both, says the same in both.
func fuzzYAML(_ bytes: [UInt8]) {
    let read = Reading(bytes, as: .yaml)
    read.checkAgreement()
    guard let tree = read.tree else { return }
    require(
        Reading(tree.json, as: .json).tree?.saysTheSame(as: tree) == true,
        "JSON says otherwise"
    )
    // libyaml takes not all that is JSON: no key of more than 1,024 characters, for one.
    for text in [bytes, tree.json] {
        guard let json = Reading(text, as: .json).tree, let yaml = Reading(text, as: .yaml).tree else { continue }
        require(yaml.saysTheSame(as: json), "the same text says two things")
    }
}
