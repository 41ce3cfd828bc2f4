// The two elements, for any page: <script type="module" src="https://gateway/phone.js"></script>
import { CrosspointDialpad } from "./dialpad.js";
import { CrosspointPhone } from "./phone.js";

customElements.define("crosspoint-dialpad", CrosspointDialpad);
customElements.define("crosspoint-phone", CrosspointPhone);

export { CrosspointDialpad, CrosspointPhone };
export { ToneWatch, audio } from "./sound.js";
