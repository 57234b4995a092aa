internal import CMessages

/// What the .proto files say, for generic clients.
public enum Descriptors {
  /// A serialized `google.protobuf.FileDescriptorSet`: the files of every service and all they
  /// import, with the comments of the project's own.
  public static var fileDescriptorSet: [UInt8] {
    unsafe Array(
      UnsafeBufferPointer(
        start: messages_file_descriptor_set(), count: messages_file_descriptor_set_bytes()))
  }
}
