import Messages
import SwiftProtobufMessages

extension Peer {
  static let artifacts = unsafe [
    Peer(Artifact.self, Needletail_Tracking_V1_Artifact.self),
    Peer(UploadArtifactRequest.self, Needletail_Tracking_V1_UploadArtifactRequest.self),
    Peer(UploadArtifactResponse.self, Needletail_Tracking_V1_UploadArtifactResponse.self),
    Peer(Upload.self, Needletail_Tracking_V1_Upload.self),
    Peer(GetUploadRequest.self, Needletail_Tracking_V1_GetUploadRequest.self),
    Peer(GetUploadResponse.self, Needletail_Tracking_V1_GetUploadResponse.self),
    Peer(DownloadArtifactRequest.self, Needletail_Tracking_V1_DownloadArtifactRequest.self),
    Peer(DownloadArtifactResponse.self, Needletail_Tracking_V1_DownloadArtifactResponse.self),
    Peer(GetArtifactRequest.self, Needletail_Tracking_V1_GetArtifactRequest.self),
    Peer(GetArtifactResponse.self, Needletail_Tracking_V1_GetArtifactResponse.self),
    Peer(ListArtifactsRequest.self, Needletail_Tracking_V1_ListArtifactsRequest.self),
    Peer(ArtifactEntry.self, Needletail_Tracking_V1_ArtifactEntry.self),
    Peer(ListArtifactsResponse.self, Needletail_Tracking_V1_ListArtifactsResponse.self),
    Peer(DeleteArtifactRequest.self, Needletail_Tracking_V1_DeleteArtifactRequest.self),
    Peer(DeleteArtifactResponse.self, Needletail_Tracking_V1_DeleteArtifactResponse.self),
  ]
}
