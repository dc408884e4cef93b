import { typeUrls } from "@weft/xds-api";
console.log(process.version, typeUrls.listener);
