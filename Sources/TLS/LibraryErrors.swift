internal import COpenSSL
internal import Glibc

/// What OpenSSL's error queue of this thread says, oldest first; the queue is empty after.
struct LibraryErrors {
  private(set) var codes: [UInt] = []
  private(set) var texts: [String] = []

  /// Empties the queue and keeps what it held.
  static func collect() -> LibraryErrors {
    var errors = LibraryErrors()
    while true {
      var data: UnsafePointer<CChar>?
      var flags: Int32 = 0
      let code = unsafe ERR_get_error_all(nil, nil, nil, &data, &flags)
      guard code != 0 else { return errors }
      var text =
        unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) }
        ?? "error \(code)"
      if flags & ERR_TXT_STRING != 0, let data = unsafe data, unsafe data[0] != 0 {
        text += unsafe " (\(String(cString: data)))"
      }
      errors.codes.append(UInt(code))
      errors.texts.append(text)
    }
  }

  /// All texts in one line, or a substitute.
  func text(or substitute: String) -> String {
    texts.isEmpty ? substitute : texts.joined(separator: "; ")
  }

  /// The reason of the first error that came from the TLS library itself.
  var handshakeReason: Int32? {
    for code in codes where Int32((code >> 23) & 0xff) == ERR_LIB_SSL {
      return Int32(code & 0x7fffff)
    }
    return nil
  }
}

/// The text of an `errno`.
func systemErrorText(_ code: Int32) -> String {
  unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
}
