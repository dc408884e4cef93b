const which = process.argv[2];
const t0 = performance.now();
const grpc = await import(which === "js" ? "@grpc/grpc-js" : which === "weft" ? "@weft/grpc" : "@weft/grpc/grpc-js");
const t1 = performance.now();
console.log(which, (t1 - t0).toFixed(1));
