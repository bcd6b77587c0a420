@testable import ConfigSnapshot
@testable import ConfigTrust

/// What is signed, what signs it and who may: each form is read as it is written and in no other way.
func fuzzTrust(_ bytes: [UInt8]) {
    if let envelope = try? Envelope(parsing: bytes) {
        require(envelope.text.utf8.elementsEqual(bytes), "an envelope of which another text is signed")
    }
    if let file = try? SignatureFile(parsing: bytes) {
        require(file.text.utf8.elementsEqual(bytes), "a signature that is written in another way")
        if let envelope = try? Envelope(parsing: file.envelope) {
            require(envelope.text.utf8.elementsEqual(file.envelope), "an envelope inside that is another one")
        }
    }
    checkTrustFile(bytes)
    if let marks = try? VersionMarks(parsing: bytes) {
        let again = try? VersionMarks(parsing: Array(marks.text.utf8))
        require(again == marks, "versions are others when read again")
        var merged = marks
        merged.merge(marks)
        require(merged == marks, "versions merged with themselves are others")
    }
    checkSignedDocument(bytes)
    _ = try? SignatureFile.foreign(bytes)
    if let text = String(validating: bytes, as: UTF8.self) { checkText(text) }
}

private func checkTrustFile(_ bytes: [UInt8]) {
    guard let file = try? TrustFile(parsing: bytes) else { return }
    require(file.text.utf8.elementsEqual(bytes), "a trust file that is written in another way")
    guard let root = file.root, let verified = try? file.verified(from: root) else { return }
    require(verified.version.version == file.sections.last?.version, "another version is believed than the last one")
}

private func checkSignedDocument(_ bytes: [UInt8]) {
    guard let (signature, document) = try? SignedDocument.split(bytes) else { return }
    guard let signature else {
        require(document.elementsEqual(bytes), "a document without a signature is not all there is")
        return
    }
    let joined = SignedDocument.join(signature: Array(signature), Array(document))
    require(joined == bytes, "taken apart and put together it is another one")
}

private func checkText(_ text: String) {
    if let bytes = Base64.decode(text) {
        require(Base64.encode(bytes).utf8.elementsEqual(text.utf8), "base64 that is written in two ways")
    }
    if let key = try? PublicKey(file: text) {
        require((try? PublicKey(file: key.pem)) == key, "a public key is another one when read again")
        require(KeyID(key.id.text) == key.id, "a key's id is none")
    }
    if let key = try? PrivateKey(file: text) {
        require((try? PrivateKey(file: key.pem))?.publicKey == key.publicKey, "a private key is another one")
    }
    if let digest = ContentDigest(text: text) { require(digest.description == text, "a digest is another one") }
    if let name = SourceName(text) { require(name.text.utf8.elementsEqual(text.utf8), "a name is another one") }
    if let names = DottedKey.split(text.utf8) {
        require(DottedKey.split(DottedKey.join(names).utf8) == names, "a key leads elsewhere when written again")
    }
    if let decoded = PercentEncoding.decode(text[...], allowsZero: true) {
        let again = PercentEncoding.decode(PercentEncoding.encode(decoded)[...], allowsZero: true)
        require(again?.utf8.elementsEqual(decoded.utf8) == true, "percent-encoded it is something else")
    }
}
