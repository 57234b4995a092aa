import Client
import Glibc

/// A folder of files for one test, removed with it.
final class Folder {
  let path: String

  init() {
    var template = Array("/tmp/needletail-settings-XXXXXX".utf8CString)
    path = unsafe template.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress, let made = unsafe mkdtemp(start) else {
        return ""
      }
      return unsafe String(cString: made)
    }
  }

  deinit { _ = unsafe system("rm -rf '\(path)'") }

  /// Writes a file, with the folders that it needs.
  @discardableResult
  func write(_ name: String, _ text: String, mode: mode_t = 0o600) -> String {
    let file = "\(path)/\(name)"
    let folder = file.split(separator: "/").dropLast().joined(separator: "/")
    _ = unsafe system("mkdir -p '/\(folder)'")
    if let handle = unsafe fopen(file, "w") {
      unsafe fputs(text, handle)
      unsafe fclose(handle)
      unsafe chmod(file, mode)
    }
    return file
  }

  /// The permissions of a file or folder.
  func mode(_ name: String) -> mode_t {
    var info = stat()
    guard unsafe stat("\(path)/\(name)", &info) == 0 else { return 0 }
    return info.st_mode & 0o777
  }

  /// What is in a folder, in alphabetical order.
  func names(in name: String) -> [String] {
    guard let folder = unsafe opendir("\(path)/\(name)") else { return [] }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { start in
        unsafe start.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(cString: $0)
        }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  func environment(_ variables: [String: String] = [:]) -> SettingsEnvironment {
    var all = variables
    all["HOME"] = path
    return SettingsEnvironment(variables: all, currentFolder: path + "/project/deep")
  }
}
