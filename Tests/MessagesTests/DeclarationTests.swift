import Messages
import SwiftProtobuf
import Testing

/// What the .proto files declare besides messages.
@Suite struct DeclarationTests {
  private static let methods =
    ServerMethods.all + IdentityMethods.all + RegistryMethods.all + TrackingMethods.all
    + TracingMethods.all

  @Test("The method tables hold every method of the descriptors")
  func methodNames() throws {
    let set = try Google_Protobuf_FileDescriptorSet(serializedBytes: Descriptors.fileDescriptorSet)
    let declared = set.file.flatMap { file in
      file.service.flatMap { service in
        service.method.map { "\(file.package).\(service.name)/\($0.name)" }
      }
    }
    #expect(Set(Self.methods.map(\.name)) == Set(declared))
  }

  @Test("A method's descriptor says what its rule in the .proto says")
  func methodRules() {
    #expect(
      TrackingMethods.createRun
        == MethodDescriptor(
          name: "needletail.tracking.v1.Tracking/CreateRun", kind: .unary,
          permission: "run.create", isAudited: true, idempotency: .keyed))
    #expect(TrackingMethods.watchRun.kind == .serverStreaming)
    #expect(TrackingMethods.appendMetrics.kind == .bidirectional)
    #expect(TrackingMethods.appendMetrics.idempotency == .sequenced)
  }

  @Test("Descriptors keep the comments of the project and stand behind what they import")
  func descriptors() throws {
    let set = try Google_Protobuf_FileDescriptorSet(serializedBytes: Descriptors.fileDescriptorSet)
    var seen: Set<String> = []
    for file in set.file {
      #expect(seen.isSuperset(of: file.dependency))
      #expect(file.sourceCodeInfo.location.isEmpty != file.name.hasPrefix("needletail/"))
      seen.insert(file.name)
    }
  }

  @Test("A reason has its name without the prefix, and the number of its code")
  func reasons() {
    #expect(TrackingErrorReason.runNotFound.name == "RUN_NOT_FOUND")
    #expect(TrackingErrorReason.runNotFound.codeNumber == 5)
    #expect(RpcErrorReason.internal.name == "INTERNAL")
    #expect(RpcErrorReason.internal.codeNumber == 13)
    let names = IdentityErrorReason.allCases.map(\.name)
    #expect(names.contains("PROJECT_NOT_FOUND") && !names.contains("UNSPECIFIED"))
    #expect(Set(names).count == names.count)
  }
}
