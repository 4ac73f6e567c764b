// The camera of the browser: how it is opened, why there is none, and a still picture of it.

import { element } from "./elements.js";

// Throws where the browser gives no camera; `reasonFor` then says why.
export async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error("no camera");
  const size = { width: { ideal: 960 }, height: { ideal: 720 } };
  return navigator.mediaDevices.getUserMedia({ video: { ...size, facingMode: "environment" } });
}

export function closeCamera(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

// What to tell a person whose browser gives no camera.
export function reasonFor(error) {
  if (!window.isSecureContext) {
    return (
      "A browser gives a camera to pages over HTTPS alone, or on the computer that runs the app. " +
      "This page came over plain HTTP. A photo can be dropped or chosen instead."
    );
  }
  if (!navigator.mediaDevices?.getUserMedia) return "This browser has no camera for pages.";
  if (error.name === "NotAllowedError") {
    return "The camera is not allowed for this page. Allow it beside the address, and try again.";
  }
  if (error.name === "NotFoundError") return "No camera was found.";
  if (error.name === "NotReadableError") return "The camera is in use by another program.";
  return `The camera could not be started: ${error.message}`;
}

// A part of the video's picture, scaled, as a JPEG file in base64.
export function still(video, [left, top, width, height], [across, down], quality) {
  const canvas = element("canvas", "", null);
  [canvas.width, canvas.height] = [Math.round(across), Math.round(down)];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(video, left, top, width, height, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", quality).split(",")[1];
}
