import Messages
import SwiftProtobuf
import SwiftProtobufMessages
import Testing

@Test("x") func x() throws {
  #expect(Scalars().encoded == [])
  let m = Needletail_Samples_V1_Scalars()
  #expect(try m.serializedBytes() == [])
}
