/// The kinds of journal records, one 128-bit id each. The same ids stand in the message catalog, where
/// `journalctl -x` finds what they mean and what to do.
public enum MessageID: String, Sendable, CaseIterable {
    case started = "6cb4c9a8dd3f45e097115768d65d064e"
    case ready = "987f3c7a5ddc4d62b94f1a389436c1ee"
    case stopping = "5227fec667214aa79c8783dc42bd4a18"
    case published = "d825bb1466c449008cc056a2bb2ae2f8"
    case sourceFailed = "2b958e86f1d046ffa76baddd76ed22bc"
    case sourceRecovered = "9cad204f5d82448e8b574c4579ff83fa"
    case lockContended = "e5a003df6a04476da5a0c3ca67dd9294"
    case lockStuck = "d5772e7513114ac4a4a64710f40bc12a"
    case lockReport = "7c3927dc1ba14771b6dfab01ce27640f"
    case recordsDropped = "ea93003a915f4352a69e6a1b41d98ef6"
    case configurationRefused = "a85786eea5a948a786ea1abb62beba9b"
    case reloaded = "493669ed815949a685e385edd8f02ea5"
    case lastGoodUsed = "845a1a0e84694d3e90f859271be81e5b"
    case sourceMoved = "e3bb92fef89d44b780f749fc8db23ce1"
    case sourceReturned = "53e3c310ed054b7c8f78c390b1a2fc2d"
    case placesDisagree = "af7c5f9877704cdca53e2850ab34b905"
    case hostSuspect = "de911d9f67e147d3918e681843a5f70c"
    case documentLoaded = "41a27e13e6134244a6608759a5096f61"
    case commanded = "b1d9f8c2a64e4d0f9a3e57c1c0de8a47"
    case hostRecovered = "49127ecd48c648ee8e50f28486eb9943"
}
