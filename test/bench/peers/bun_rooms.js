// Rooms on Bun's own publish/subscribe, which is uWebSockets inside: what is sent
// to /room/NAME reaches every connection of that path, the sender included.
//
//   bun bun_rooms.js PORT
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
  fetch(request, it) {
    const room = new URL(request.url).pathname;
    if (!it.upgrade(request, { data: room }))
      return new Response('a WebSocket is needed', { status: 426 });
  },
  websocket: {
    backpressureLimit: 16 * 1024 * 1024,
    maxPayloadLength: 1024 * 1024,
    open: (socket) => socket.subscribe(socket.data),
    message: (socket, what) => server.publish(socket.data, what),
  },
});
