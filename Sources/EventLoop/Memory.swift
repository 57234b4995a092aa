internal import CLinux

/// The memory of the process.
public enum ProcessMemory {
  /// Most of what is freed that ``keepFreed()`` lets the process keep: 32 MiB.
  private static let keptBytes: Int32 = 32 << 20

  /// Keeps memory that was freed for what is allocated next.
  ///
  /// Without it, the memory of every large piece goes back to the kernel, which clears it again for
  /// the one behind it.
  public static func keepFreed() { needletail_keep_memory(keptBytes) }
}
